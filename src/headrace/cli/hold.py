"""``headrace hold``: publish nothing of a view until its release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

app = command_app()


@app.command()
def hold(
    view: Annotated[str, typer.Argument(help="The view.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to whoever finds it held.")],
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    held = Platform.open(project).hold(view, reason)
    by = f" by {held.held_by}" if held.held_by else ""
    typer.echo(f"{view} is held since {instant_text(held.held_at)}{by}: {held.reason}")
    typer.echo(f"Readers keep what they have. Nothing is published until: headrace release {view}")
