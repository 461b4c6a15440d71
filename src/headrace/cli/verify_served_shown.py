"""What ``headrace verify --served`` found, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from headrace.platform.verify_served_report import ServedReport


def print_served_report(report: ServedReport, limit: int) -> None:
    """A line for all, what was not compared, wrong clocks, then each cause and the first of its differences."""
    if not report.services:
        typer.echo("nothing that was served is logged. Set a share of requests to log, and serve again.")
        return
    typer.echo(
        f"{', '.join(report.services)}: {report.equal:,} of {report.comparisons:,} served values ({report.rows:,} "
        f"entities in {report.requests:,} requests) are the offline truth of their time, in {report.seconds:.1f} s."
    )
    for reason, number in report.not_comparable.items():
        typer.echo(f"{number:,} values could not be compared: {reason}")
    if report.lost:
        typer.echo(f"{report.lost:,} requests are missing from the log: they came faster than it could be written")
    for worker, offset in report.clock_offsets_us.items():
        typer.echo(f"the clock of {worker} was {abs(offset) / 1e6:.1f} s {'ahead' if offset > 0 else 'behind'}")
    for cause, number in report.by_cause.items():
        typer.echo(f"\n{number:,} differ: {cause}")
        for found in [found for found in report.differences if found.cause == cause][:limit]:
            typer.echo(f"  {found}")
