"""``headrace quarantine``: see what contracts refused, and give it another chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()


@app.command("list", help="Count quarantined rows by source, column and reason.")
def list_reasons(
    source: Annotated[str | None, typer.Argument(help="The source; all by default.")] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    records = [
        {
            "source": found.source,
            "column": found.column,
            "reason": found.reason,
            "rows": found.rows,
            "example": found.example,
            "last arrived": f"{found.last_arrived:%Y-%m-%d %H:%M}",
        }
        for found in Platform.open(project).quarantine(source)
    ]
    print_records(records, title="Quarantine", empty="Nothing is in quarantine.")


@app.command(help="Show quarantined rows with their reasons and origin.")
def show(
    source: Annotated[str, typer.Argument(help="The source.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many rows.")] = 20,
    reason: Annotated[str | None, typer.Option("--reason", help="Only reasons that contain this text.")] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    rows = Platform.open(project).quarantined_rows(source, limit=limit, reason=reason)
    records = [
        {
            "file": row["_hr_file"],
            "row": row["_hr_row"],
            "reasons": "; ".join(map(_reason, row["reasons"], row["columns"], row["found"])),
            "content": row["row"],
        }
        for row in rows.to_dicts()
    ]
    print_records(records, title=f"Quarantined rows of {source}", empty="Nothing is in quarantine.")


@app.command(help="Judge quarantined rows by the contract as it is now; those that pass go to silver.")
def replay(
    source: Annotated[str, typer.Argument(help="The source.")],
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    report = Platform.open(project).replay_quarantine(source)
    typer.echo(
        f"{report.source}: {report.replayed:,} rows are in silver now, {report.duplicates:,} were there already, "
        f"{report.remaining:,} stay in quarantine."
    )
    for reason, rows in report.reasons.items():
        typer.echo(f"  {rows:,} still fail: {reason}")


def _reason(reason: str, column: str | None, found: str | None) -> str:
    place = "" if column is None or reason.startswith(column) else f"{column}: "
    return f"{place}{reason}" + (f" ({found})" if found is not None else "")
