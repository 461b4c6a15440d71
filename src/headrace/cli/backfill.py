"""``headrace backfill``: compute features into gold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform.backfill import BackfillReport

app = command_app()


@app.command()
def backfill(
    view: Annotated[str | None, typer.Argument(help="The view; all by default.")] = None,
    start: Annotated[str | None, typer.Option(help="From when, e.g. 2026-01-05; by default what is missing.")] = None,
    end: Annotated[str | None, typer.Option(help="Until when; by default the end of what is known.")] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.cli.progress import backfill_bar
    from headrace.errors import HeadraceError
    from headrace.platform import Platform

    platform = Platform.open(project)
    reports, failed = [], []
    for name in [view] if view else platform.definitions.views:
        try:
            with backfill_bar(name) as progress:
                reports.append(platform.backfill(name, start, end, progress=progress))
        except HeadraceError as error:
            if view:
                raise
            failed.append(str(error))
    print_records(
        [_record(done) for done in reports],
        title="Backfilled",
        empty="Nothing was backfilled." if failed else "There are no views.",
    )
    for done in reports:
        for column, count in done.non_finite.items():
            typer.echo(f"{done.view}: {count:,} values of '{column}' are NaN or infinite, and count as null.")
    if failed:
        raise HeadraceError("\n".join(failed))


def _record(done: BackfillReport) -> dict[str, object]:
    from headrace.types import instant_text

    return {
        "view": done.view,
        "from": instant_text(done.since),
        "through": instant_text(done.until),
        "rows read": done.rows,
        "steps": done.steps,
        "spans": done.spans,
        "version": None if done.publication is None else done.publication.number,
        "seconds": f"{done.seconds:.1f}",
    }
