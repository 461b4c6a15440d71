"""What a backfill has to do: the span that was asked for or is needed, and what lies behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from headrace.definitions.codec import to_plain
from headrace.errors import HeadraceError, NotAppliedError
from headrace.platform.gold import DAY_COLUMN, Gold, Segment, silver_table
from headrace.types import DAY, FOREVER, instant_text

if TYPE_CHECKING:
    from headrace.lake.base import Commit, Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Extent:
    """The span of a backfill.

    Parameters
    ----------
    start, end : int
        What is computed for certain: ``[start, end)``.
    behind : tuple of Segment
        What was computed before and lies behind `end`: redone until it no longer differs.
    silver_version : int
        The version of silver that is read.
    """

    start: int
    end: int
    behind: tuple[Segment, ...]
    silver_version: int


def checked_extent(context: Context, gold: Gold, start: int | None, end: int | None) -> Extent:
    """Decide what to compute, and refuse what can't be."""
    source = gold.view.source
    silver = silver_table(context.lake, source)
    _check_applied(context, gold)
    if not silver.exists():
        raise NotAppliedError(
            f"{gold.view.place}: its source '{source.name}' has no rows yet. Run: headrace ingest {source.name}"
        )
    version = silver.version()
    segments = gold.segments()
    end = _default_end(context, silver, segments) if end is None else end
    start = _default_start(gold, silver, segments, end) if start is None else start
    _check_order(context, gold, start, end)
    return Extent(start, end, _behind(segments, end, list(silver.commits())), version)


def candidate_lock(gold: Gold, start: int, end: int) -> str:
    """The lock of whoever computes a span of a view: other spans can be computed beside it."""
    return f"backfill-{gold.view.name}-{gold.fingerprint}-{start}-{end}"


def day_of(microseconds: int) -> date:
    """The UTC day of an instant."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=microseconds // DAY)).date()


def rows_by_day(silver: Table, version: int) -> dict[int, int]:
    """How many rows became known on each day (its number since 1970)."""
    found: dict[int, int] = {}
    for file in silver.files(version):
        day = (date.fromisoformat(file.partition[DAY_COLUMN]) - date(1970, 1, 1)).days
        found[day] = found.get(day, 0) + file.rows
    return found


def _check_applied(context: Context, gold: Gold) -> None:
    applied = context.registry.current()
    found = None if applied is None else applied.version("view", gold.view.name)
    if found is None or found.entry.fingerprint != gold.fingerprint:
        state = "has not been applied" if found is None else "was changed since it was applied"
        raise NotAppliedError(f"{gold.view.place} {state}. Run: headrace apply")
    if json.loads(found.entry.body).get("checks", []) != to_plain(gold.view).get("checks", []):
        raise NotAppliedError(
            f"{gold.view.place}: its checks were changed since they were applied. Run: headrace apply"
        )


def _default_end(context: Context, silver: Table, segments: list[Segment]) -> int:
    """The end of the last day with rows, at most now; never before what is computed already."""
    days = rows_by_day(silver, silver.version())
    last = (max(days) + 1) * DAY if days else 0
    return max(min(last, context.clock()), segments[-1].until if segments else 0)


def _default_start(gold: Gold, silver: Table, segments: list[Segment], end: int) -> int:
    """The first row's day at first; later what is missing, or has changed because of rows that came since."""
    if not segments:
        days = rows_by_day(silver, silver.version())
        return min(days) * DAY if days else end
    stale = gold.stale_from(silver.commits(), segments)
    return min(FOREVER if stale is None else stale, gold.computed().intervals[0][1], end)


def _check_order(context: Context, gold: Gold, start: int, end: int) -> None:
    if start > end:
        raise HeadraceError(
            f"{gold.view.place}: the backfill would end at {instant_text(end)}, before its start at "
            f"{instant_text(start)}. Swap them."
        )
    if end > context.clock():
        raise HeadraceError(
            f"{gold.view.place}: a backfill until {instant_text(end)} would claim to know the future; "
            f"it is {instant_text(context.clock())} now. End it there at the latest."
        )


def _behind(segments: list[Segment], end: int, silver_commits: list[Commit]) -> tuple[Segment, ...]:
    """The computed spans that go on from `end` without a gap, if they were computed from another state at `end`.

    That is so if rows that were known before `end` have come since.
    """
    found: list[Segment] = []
    reached = end
    for segment in segments:
        if segment.since <= reached < segment.until:
            found.append(Segment(reached, segment.until, segment.silver_version, segment.carry_digest))
            reached = segment.until
    return tuple(found) if found and _knew_less(found[0], end, silver_commits) else ()


def _knew_less(segment: Segment, end: int, silver_commits: list[Commit]) -> bool:
    later = (c.metadata for c in silver_commits if c.version > segment.silver_version)
    return any(int(note.get("min_known_us", FOREVER)) < end for note in later)
