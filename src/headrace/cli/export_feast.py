"""``headrace export-feast``: a Feast repository from a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.import_feast import show
from headrace.cli.options import ProjectOption

app = command_app()


@app.command()
def export_feast(
    to: Annotated[Path, typer.Option(help="The repository's folder; made if it does not exist.")] = Path(
        "feature_repo"
    ),
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform
    from headrace.platform.feast.exporting import REPORT
    from headrace.platform.feast.exporting import export_feast as write_repository

    report = write_repository(Platform.open(project), to)
    show(report)
    typer.echo(f"\nWrote {to}; the same report is in {REPORT}.")
    typer.echo(f"Next: cd {to} && feast apply && feast materialize-incremental $(date -u +%Y-%m-%dT%H:%M:%S)")
