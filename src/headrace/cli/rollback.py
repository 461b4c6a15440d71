"""``headrace rollback``: go back to an earlier version of a view, offline and online, and hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

app = command_app()


@app.command()
def rollback(
    view: Annotated[str, typer.Argument(help="The view.")],
    version: Annotated[
        int | None, typer.Argument(help="The version to go back to; by default the one before what is served.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown to whoever finds the view held.")] = "",
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    done = Platform.open(project).rollback(view, version, reason=reason)
    typer.echo(
        f"{view}: version {done.number} has the content of version {done.content_of}, complete through "
        f"{instant_text(done.frontier)}. It is what readers get now."
    )
    typer.echo(f"The view is held. Correct what went wrong, then: headrace release {view}")
