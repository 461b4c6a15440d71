"""``headrace status``: how far each source and each view has come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

if TYPE_CHECKING:
    from datetime import datetime

    from headrace.platform.status import SourceStatus
    from headrace.platform.view_status import ViewStatus

app = command_app()
_MEGABYTE = 1_000_000


@app.command()
def status(project: ProjectOption = Path()) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    platform = Platform.open(project)
    sources = [_source_record(found) for found in platform.source_status()]
    print_records(sources, title="Sources", empty="There are no sources. Define one with hr.EventSource(…).")
    views = [_view_record(found) for found in platform.view_status()]
    print_records(views, title="\nViews", empty="There are no views. Define one with hr.FeatureView(…).")


def _view_record(found: ViewStatus) -> dict[str, object]:
    stale = None if found.stale_from is None else f"{instant_text(found.stale_from)}: backfill it"
    return {
        "view": found.view,
        "definition": found.state,
        "complete": str(found.complete),
        "stale from": stale,
        "steps": found.steps,
        "files": found.files,
        "MB": f"{found.size_bytes / _MEGABYTE:,.1f}",
    }


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
