"""``headrace release``: let a held view be published again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

app = command_app()


@app.command()
def release(
    view: Annotated[str, typer.Argument(help="The view.")],
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    ended = Platform.open(project).release(view)
    if ended is None:
        typer.echo(f"{view} was not held.")
        return
    typer.echo(f"{view} is released; it was held since {instant_text(ended.held_at)}: {ended.reason}")
    typer.echo(f"Compute what is missing: headrace backfill {view}")
