"""``headrace status``: how far each source and each view has come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import SECOND, duration_text, instant_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from headrace.platform.status import SourceStatus
    from headrace.platform.view_status import ViewStatus
    from headrace.timeline.coverage import Coverage

app = command_app()
_MEGABYTE = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@app.command()
def status(project: ProjectOption = Path()) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    platform = Platform.open(project)
    sources = [_source_record(found) for found in platform.source_status()]
    print_records(sources, title="Sources", empty="There are no sources. Define one with hr.EventSource(…).")
    views = platform.view_status()
    empty = "There are no views. Define one with hr.FeatureView(…)."
    print_records([_view_record(found) for found in views], title="\nViews", empty=empty)
    for found in views:
        for note in _notes(found):
            typer.echo(f"{found.view}: {note}")


def _view_record(found: ViewStatus) -> dict[str, object]:
    return {
        "view": found.view,
        "version": found.version,
        "complete": _span(found.complete),
        "frontier": _age(found),
        "steps": found.steps,
        "MB": f"{found.size_bytes / _MEGABYTE:,.1f}",
    }


def _notes(found: ViewStatus) -> Iterator[str]:
    """What somebody has to do."""
    from headrace.platform.view_status import APPLIED

    if found.state != APPLIED:
        yield f"{found.state}. Run: headrace apply"
    if found.is_behind and found.held is None:
        old = f"readers online still get version {found.version}, of another definition"
        yield f"{old}. Run: headrace backfill {found.view}"
    if found.rejected is not None:
        yield f"the audit rejected run {found.rejected}. See: headrace check {found.view}"
    if found.held is not None:
        yield f"held: {found.held}. Then: headrace release {found.view}"
    elif found.stale_from is not None:
        since = instant_text(found.stale_from)
        yield f"rows came that change it from {since} on. Run: headrace backfill {found.view}"


def _span(complete: Coverage) -> str:
    """The covered time; a midnight is its date."""
    return str(complete).replace("T00:00:00Z", "")


def _age(found: ViewStatus) -> str | None:
    """How old the frontier is, to the second, minute or hour, and whether that is too old."""
    if found.age_seconds is None:
        return "never: STALE" if found.is_stale else None
    seconds = int(found.age_seconds)
    unit = next((unit for limit, unit in ((_DAY, _HOUR), (_HOUR, _MINUTE)) if abs(seconds) >= limit), 1)
    text = duration_text(abs(seconds) // unit * unit * SECOND)
    return f"{text} {'ago' if seconds >= 0 else 'ahead'}{': STALE' if found.is_stale else ''}"


def _source_record(found: SourceStatus) -> dict[str, object]:
    return {
        "source": found.source,
        "rows": found.rows,
        "files": found.files,
        "MB": f"{found.size_bytes / _MEGABYTE:,.1f}",
        "arrived": _moment(found.last_arrived),
        "known to": _moment(found.known_through),
        "quarantined": sum(found.quarantined.values()),
        "new": found.new_files,
        "stopped": found.stopped_batches,
    }


def _moment(when: datetime | None) -> str | None:
    return None if when is None else f"{when:%Y-%m-%d %H:%M}"
