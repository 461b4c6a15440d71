"""Keeping the files of a followed source few: a stream writes one or more in each epoch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headrace.definitions.sources import Source
from headrace.lake.layout import OptimizeReport, compact
from headrace.platform.crash_points import crash_point
from headrace.platform.optimize import targets_of

if TYPE_CHECKING:
    from headrace.platform.context import Context


def compact_source(context: Context, source: Source) -> dict[str, OptimizeReport]:
    """Put together the small files of bronze and silver where there are many; hold the source's turn.

    It adds no row and takes none away, so nothing that reads by version, or by the times of what came since, sees it.
    """
    fence = partial(crash_point, "before compact commit")
    return {
        target.name: compact(target.table, target.keys, target.time, fence=fence)
        for target in targets_of(context, source)
        if target.table.exists()
    }
