"""After all have ended: everything is brought up to date, and compared with what one computation gives."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.killing.comparison import Difference, difference
from benchmarks.killing.findings import Finding
from benchmarks.killing.publications import unsettled
from benchmarks.killing.reader import Reader
from benchmarks.killing.wholeness import Wholeness
from headrace.platform import Platform
from headrace.platform.gold import Gold, silver_table


def up_to_date(root: Path) -> None:
    """Ingest and publish whatever there is."""
    platform = Platform.open(root)
    platform.ingest()
    for view in platform.definitions.views:
        platform.release(view)
        platform.backfill(view)


def compared(root: Path) -> list[Difference]:
    """The gold of each view beside the steps that one computation gives of all rows."""
    wholeness = Wholeness(root)
    context = wholeness.platform.context
    found = []
    for view in wholeness.platform.definitions.views.values():
        gold = Gold.of(context, view)
        version = silver_table(context.lake, view.source).version()
        known, frontier = pl.col("valid_from").dt.epoch("us"), gold.segments()[-1].until
        wanted = wholeness.steps(view, version, frontier).filter(known < frontier)
        found.append(difference(f"gold/{view.name}", gold.scan().collect(), wanted))
    return found


def findings(root: Path) -> list[Finding]:
    """What is wrong with any version of any table that is still there, or online."""
    reader = Reader(root)
    for _ in range(5):
        reader.poll(lag=0)
    reader.catch_up()
    return [*unsettled(Platform.open(root)), *reader.reading.findings]


def versions_made(root: Path) -> int:
    """How many publications there are."""
    platform = Platform.open(root)
    return sum(len(platform.context.registry.publications(view)) for view in platform.definitions.views)
