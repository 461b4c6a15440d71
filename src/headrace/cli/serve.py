"""``headrace serve``: answer requests for features over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()


@app.command()
def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port; 0 for any free one.")] = 6566,
    most_rows: Annotated[int, typer.Option("--most-rows", min=1, help="Entities in one request, at most.")] = 10_000,
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform
    from headrace.server.options import ServeOptions
    from headrace.server.running import run

    platform = Platform.open(project)
    name = platform.context.settings.name
    options = ServeOptions(most_rows=most_rows)
    run(platform, host, port, options, announce=lambda url: typer.echo(f"headrace serves {name} at {url}"))
