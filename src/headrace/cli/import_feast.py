"""``headrace import-feast``: a project from a Feast repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app

if TYPE_CHECKING:
    from headrace.platform.feast.report import Report

app = command_app()


@app.command()
def import_feast(
    repository: Annotated[
        Path, typer.Argument(help="The folder of feature_store.yaml. Its Python files are executed: trust them first.")
    ],
    to: Annotated[
        Path | None, typer.Option(help="The project's folder; by default one named after Feast's project, here.")
    ] = None,
) -> None:
    from headrace.platform.feast.importing import REPORT
    from headrace.platform.feast.importing import import_feast as write_project

    made = write_project(repository, to)
    show(made.report)
    typer.echo(f"\nWrote {made.root}; the same report is in {REPORT}.")
    typer.echo(f"Next: cd {made.root} && headrace apply && headrace ingest && headrace backfill && headrace serve")


def show(report: Report) -> None:
    """Print a report: what came along, what did not, and what means something else."""
    from headrace.cli.output import print_records

    came = [line for line in report.lines if line not in report.left_out]
    print_records(
        [{"kind": x.kind, "name": x.name, "became": x.became, "to know": " ".join(x.notes)} for x in came],
        title=report.title, empty="Nothing came along.",
    )  # fmt: skip
    typer.echo()
    print_records(
        [{"kind": x.kind, "name": x.name, "why": " ".join(x.notes)} for x in report.left_out],
        title="Left out", empty="Nothing was left out.",
    )  # fmt: skip
    for text in report.remarks:
        typer.echo(f"\n- {text}")
