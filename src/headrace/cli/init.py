"""``headrace init``: a new project that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app

app = command_app()


@app.command()
def init(directory: Annotated[Path, typer.Argument(help="The project's folder; made if it does not exist.")]) -> None:
    from headrace.platform.init import init as write_project

    for file in write_project(directory):
        typer.echo(f"wrote {file}")
    typer.echo(
        f"\nNext: cd {directory} && headrace apply && headrace ingest && headrace backfill\n"
        "Then: headrace history driver_now driver_id=101\n"
        "      headrace training-set labels.csv eta_model --to training"
    )
