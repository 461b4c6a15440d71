"""``headrace check``: audit what is published of a view, and see what an audit rejected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

if TYPE_CHECKING:
    import polars as pl

    from headrace.quality.audit import Verdict

app = command_app()


@app.command()
def check(
    view: Annotated[str, typer.Argument(help="The view.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many failing steps.")] = 10,
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    found = Platform.open(project).check(view)
    if found.verdict is None:
        typer.echo(f"{view} was never published as it is defined now: headrace backfill {view}")
    else:
        _print_verdict(f"{view}, version {found.version}", found.verdict)
        _print_steps(found.failing, limit)
    if found.rejected is not None:
        last = found.rejected
        span = f"{instant_text(last.since)} to {instant_text(last.until)}"
        _print_verdict(f"\nRejected at {instant_text(last.at)}: run {last.run_id}, {span}", last.verdict)
        _print_steps(found.rejected_rows, limit)
    if found.verdict is not None and not found.verdict.passed:
        raise typer.Exit(1)


def _print_verdict(what: str, verdict: Verdict) -> None:
    """One line, then one for each finding and each check without one."""
    said = "no checks" if not verdict.checks else "passed" if verdict.passed else "FAILED"
    typer.echo(f"{what}: {said}, {verdict.steps:,} steps")
    for name in verdict.checks:
        findings = [finding for finding in verdict.findings if finding.check == name]
        for finding in findings:
            typer.echo(f"  {'tolerated' if finding.passed else 'fails'}  {finding}")
        if not findings:
            typer.echo(f"  passed  {name}")


def _print_steps(steps: pl.DataFrame, limit: int) -> None:
    if not steps.is_empty():
        from headrace.cli.frames import print_frame

        print_frame(steps.head(limit), title=f"The first {min(limit, len(steps))} failing steps", empty="")
