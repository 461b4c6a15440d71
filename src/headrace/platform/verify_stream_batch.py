"""The steps that the batch lane gives for a span of time: gold, where it is up to date, else computed from silver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from headrace.lake.reading import collect
from headrace.platform.carries import carry_at, rows_ahead
from headrace.platform.extent import day_of, rows_by_day
from headrace.platform.gold import DAY_COLUMN, Gold, silver_table
from headrace.platform.lookup import TIME
from headrace.platform.spans import Span, spans
from headrace.timeline.coverage import Coverage
from headrace.types import DAY, FOREVER

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Part:
    """The batch lane's steps within ``[since, until)``.

    Parameters
    ----------
    since, until : int
        In microseconds.
    steps : frame or None
        They; None where it has no rows of that time.
    is_gold : bool
        Whether they were read.
    opens : bool
        Whether gold begins here, so that each known entity has a step at `since`, whether something happened or not.
    """

    since: int
    until: int
    steps: pl.DataFrame | None
    is_gold: bool = False
    opens: bool = False


@dataclass(frozen=True, slots=True)
class BatchLane:
    """The steps of a view by gold and silver.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        What is published.
    silver_version : int
        That of silver.
    """

    context: Context
    gold: Gold
    silver_version: int

    def parts(self, since: int, until: int) -> Iterator[Part]:
        """All of ``[since, until)``, in order, in parts that fit into memory."""
        at = since
        for low, high in self._current(since, until):
            yield from self._computed(at, low)
            yield from self._read(low, high)
            at = high
        yield from self._computed(at, until)

    def _current(self, since: int, until: int) -> tuple[tuple[int, int], ...]:
        """Where gold is what silver would give: rows that came since would change the rest."""
        stale = self.gold.stale_from(self._silver.commits()) if self.gold.pinned is not None else None
        end = min(until, FOREVER if stale is None else stale)
        return Coverage.of((max(since, low), min(high, end)) for low, high in self.gold.computed().intervals).intervals

    def _read(self, since: int, until: int) -> Iterator[Part]:
        table, version = self.gold.table, self.gold.version
        begins = {low for low, _ in self.gold.computed().intervals}
        for span in spans(since, until, rows_by_day(table, version)):
            steps = _within(table, version, span)
            yield Part(span.since, span.until, steps, is_gold=True, opens=span.since in begins)

    def _computed(self, since: int, until: int) -> Iterator[Part]:
        days = rows_by_day(self._silver, self.silver_version)
        first = max(since, min(min(days, default=0) * DAY, until))
        if since < first:
            yield Part(since, first, None)
        if first >= until:
            return
        carry = carry_at(self.context, self.gold, first, self.silver_version)
        for span, rows in rows_ahead(self._silver, self.silver_version, spans(first, until, days)):
            computed = self.context.engine.compute(self.gold.view, rows, carry, span.since, span.until)
            carry = computed.carry
            yield Part(span.since, span.until, computed.steps)

    @property
    def _silver(self) -> Table:
        return silver_table(self.context.lake, self.gold.view.source)


def _within(table: Table, version: int, span: Span) -> pl.DataFrame:
    at = pl.col(TIME).dt.epoch("us")
    days = pl.col(DAY_COLUMN).is_between(day_of(span.since), day_of(span.until - 1))
    return collect(table.scan(version).filter(days, at >= span.since, at < span.until), table, version)
