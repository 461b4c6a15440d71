"""``headrace ingest``: take new files of sources to silver, or a stream as it comes."""

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
    follow: Annotated[bool, typer.Option("--follow", help="Take its stream, as it comes, until Ctrl-C.")] = False,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Follow what is there now, then stop.")] = False,
    epoch: Annotated[float, typer.Option("--epoch", min=0, help="Seconds to gather for a commit.")] = 5.0,
    reset: Annotated[bool, typer.Option("--reset", help="Skip what is not kept any more and was not read.")] = False,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli import following
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    _check_options(source, rebuild=rebuild, follow=follow, only_followed=until_idle or reset)
    platform = Platform.open(project)
    if follow and source is not None:
        reports = [following.follow(platform, source, until_idle=until_idle, reset=reset, epoch_seconds=epoch)]
    else:
        with _bar() as listener:
            reports = [*platform.ingest(source, rebuild=rebuild, progress=listener).sources]
    print_records(
        [_record(done, follow=follow) for done in reports],
        title="Ingested",
        empty="No source has files: give one batch=hr.Files(…).",
    )
    for done in reports:
        _print_notes(done)


def _check_options(source: str | None, *, rebuild: bool, follow: bool, only_followed: bool) -> None:
    if follow and source is None:
        raise typer.BadParameter("name the source: each one is followed by a process of its own.")
    if follow and rebuild:
        raise typer.BadParameter("--rebuild makes silver again from bronze and ends. Follow the source afterwards.")
    if only_followed and not follow:
        raise typer.BadParameter("--until-idle and --reset go with --follow.")


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


def _record(report: SourceReport, *, follow: bool) -> dict[str, object]:
    seconds = sum(report.seconds.values())
    return {
        "source": report.source,
        **({"epochs": report.batches} if follow else {"new files": report.files}),
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
