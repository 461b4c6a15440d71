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
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=256, help="Processes that answer.")] = None,
    most_rows: Annotated[int | None, typer.Option("--most-rows", min=1, help="Entities in a request, at most.")] = None,
    log: Annotated[
        float | None, typer.Option("--log", min=0, max=1, help="The share of answers to keep in the lake.")
    ] = None,
    watch: Annotated[
        bool | None, typer.Option("--watch/--no-watch", help="Load definitions again when files change.")
    ] = None,
    tls_cert: Annotated[str | None, typer.Option("--tls-cert", help="The certificate's file (PEM).")] = None,
    tls_key: Annotated[str | None, typer.Option("--tls-key", help="Its private key's file (PEM).")] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Let anybody in who can connect, beyond this machine too.")
    ] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.server.running import run

    given = {
        "workers": workers, "most_rows": most_rows, "log": log, "watch": watch, "tls_cert": tls_cert,
        "tls_key": tls_key, "insecure": insecure,
    }  # fmt: skip
    said = {name: value for name, value in given.items() if value is not None}
    run(project, host, port, said, lambda name, url: typer.echo(f"headrace serves {name} at {url}"))
