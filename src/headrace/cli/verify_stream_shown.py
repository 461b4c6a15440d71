"""What ``headrace verify --stream`` found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from headrace.types import BEGINNING, instant_text

if TYPE_CHECKING:
    from headrace.platform.verify_stream_report import StreamReport


def print_stream_report(report: StreamReport, limit: int) -> None:
    """A line or two for all, then each cause and the first of its differences."""
    if report.said:
        typer.echo(f"{report.view}: {report.said}")
        return
    if report.has_steps:
        typer.echo(f"{report.view}: {_steps(report)}")
    if report.hint:
        typer.echo(f"{report.view}: {report.hint}.")
    typer.echo(
        f"{report.view}: {report.served - report.served_differing:,} of {report.served:,} entities are served as of "
        f"{instant_text(report.served_at)} with the batch lane's values. {report.seconds:.1f} s."
    )
    for note in report.notes:
        typer.echo(f"{report.view}: {note}")
    for cause, number in report.by_cause.items():
        typer.echo(f"\n{report.view}: {number:,} differ: {cause}")
        for found in [found for found in report.differences if found.cause == cause][:limit]:
            typer.echo(f"  {found}")


def _steps(report: StreamReport) -> str:
    since = "the beginning" if report.since <= BEGINNING else instant_text(report.since)
    same = report.compared - (sum(report.by_cause.values()) - report.served_differing)
    read = f"{report.from_gold:,} in version {report.publication} of gold" if report.from_gold else "none in gold"
    return (
        f"{same:,} of {report.compared:,} steps are the same in the stream (generation "
        f"{report.generation}) and in the batch lane ({read}, the others computed from silver), from {since} to "
        f"{instant_text(report.cut)}."
    )
