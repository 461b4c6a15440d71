"""``headrace ingest``: take new files of sources to silver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform.ingest import Listener, SourceReport

app = command_app()


@app.command()
def ingest(
    source: Annotated[str | None, typer.Argument(help="The source; all that have files by default.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make silver again from bronze.")] = False,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    platform = Platform.open(project)
    with _bar() as listener:
        report = platform.ingest(source, rebuild=rebuild, progress=listener)
    print_records(
        [_record(done) for done in report.sources],
        title="Ingested",
        empty="No source has files: give one batch=hr.Files(…).",
    )
    for done in report.sources:
        _print_notes(done)


@contextmanager
def _bar() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from headrace.platform.ingest import Progress as Step

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, object] = {}

        def listen(step: Step) -> None:
            label = f"{step.source}: {'reading files' if step.stage == 'land' else 'refining'}"
            if label not in tasks:
                tasks[label] = bar.add_task(label, total=step.total)
            bar.update(tasks[label], completed=step.done, total=step.total)  # type: ignore[arg-type]

        yield listen


def _record(report: SourceReport) -> dict[str, object]:
    seconds = sum(report.seconds.values())
    return {
        "source": report.source,
        "new files": report.files,
        "rows read": report.rows_read,
        "accepted": report.accepted,
        "duplicates": report.duplicates,
        "quarantined": report.rejected_rows,
        "late": report.late,
        "seconds": f"{seconds:.1f}",
    }


def _print_notes(report: SourceReport) -> None:
    for reason, rows in report.rejected.items():
        typer.echo(f"{report.source}: {rows:,} quarantined: {reason}")
    for column, dtype in report.added_columns.items():
        typer.echo(f"{report.source}: column '{column}' ({dtype}) is not declared; silver keeps it.")
