"""Computing a view's steps into gold: span by span, each committed whole, resumable at any point."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from headrace.engines.base import Carry, Computed, Engine
from headrace.lake.reading import collect
from headrace.platform.carries import best_carry, carry_digest, save_carry
from headrace.platform.crash_points import crash_point
from headrace.platform.extent import Extent, checked_extent, day_of, rows_by_day
from headrace.platform.gold import DAY_COLUMN, Gold, silver_table
from headrace.platform.gold_writing import write_span
from headrace.platform.journal import Journal
from headrace.platform.spans import ROWS_A_SPAN, Span, spans
from headrace.types import BEGINNING, instant

if TYPE_CHECKING:
    from datetime import date, datetime

    from headrace.platform.context import Context

SAVE_EVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill has come.

    Parameters
    ----------
    done_rows, total_rows : int
        Rows of silver, read and to be read.
    through : int
        The instant that has been reached.
    """

    done_rows: int
    total_rows: int
    through: int


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did.

    Parameters
    ----------
    view, run_id : str
        The view, and the run that its commits name.
    since, until : int
        The span that is now up to date, in microseconds.
    rows, steps, commits : int
        Rows read, steps written, commits made.
    non_finite : mapping of str to int
        NaN and infinite values by column, which count as null.
    seconds : float
        How long it took.
    """

    view: str
    run_id: str
    since: int
    until: int
    rows: int
    steps: int
    commits: int
    non_finite: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def backfill(
    context: Context,
    view_name: str,
    start: str | int | date | datetime | None = None,
    end: str | int | date | datetime | None = None,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    rows_a_span: int = ROWS_A_SPAN,
) -> BackfillReport:
    """Compute the steps of a view within ``[start, end)``, and go on to its frontier where they matter.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    start, end : time, optional
        The span. By default from what is missing or has changed to the end of what is known.
    progress : callable
        Called after each span.
    rows_a_span : int
        How many rows are held in memory at once, about.

    Returns
    -------
    BackfillReport

    Raises
    ------
    NotAppliedError
        If the view's definition has not been applied, or its source has no rows yet.
    ConflictError
        If another backfill of the view is running.
    """
    began = time.monotonic()
    view = context.definitions.view(view_name)
    gold = Gold.of(context.lake, view)
    with context.lake.lock(f"backfill-{view.name}-{gold.fingerprint}"):
        extent = checked_extent(
            context, gold, None if start is None else instant(start), None if end is None else instant(end)
        )
        run = _Run(context, gold, extent, rows_a_span)
        for done in run.spans():
            progress(done)
    return run.report(time.monotonic() - began)


class _Run:
    """One backfill: reads ahead, computes, commits, and remembers what it carries."""

    def __init__(self, context: Context, gold: Gold, extent: Extent, rows_a_span: int) -> None:
        self.gold, self.extent, self.view = gold, extent, gold.view
        self.silver = silver_table(context.lake, self.view.source)
        self.folder = context.lake.folder("state", self.view.name, gold.fingerprint)
        self.journal = Journal.resume_or_begin(self.folder, extent, uuid.uuid4().hex[:12])
        self.engine: Engine = context.engine
        self.rows_a_span = rows_a_span
        self.rows = self.steps = self.commits = 0
        self.reached = extent.start
        self.non_finite: dict[str, int] = {}
        self._saved_at = time.monotonic()
        self._days = rows_by_day(self.silver, self.extent.silver_version)

    def spans(self) -> Iterator[Progress]:
        """Do the work, span by span."""
        start = self.journal.done_until(self.gold)
        self.reached = start
        work = self._work(start)
        total = sum(span.rows for span in work)
        old = self.gold.segments()
        digests = {s.until: s.carry_digest for s in old}
        if work:
            carry = self._carry_at(start)
            for span, rows in self._ahead(work):
                computed = self._compute(span, rows, carry)
                carry = computed.carry
                self._commit(span, computed, last=span is work[-1])
                yield Progress(self.rows, total, span.until)
                if span.until >= self.extent.end and digests.get(span.until) == carry_digest(carry):
                    break
        crash_point("before backfill ends")
        self.journal.finish()

    def _work(self, start: int) -> list[Span]:
        """The asked span in pieces, then, on the old cuts, what lies behind it up to the frontier."""
        asked = spans(start, self.extent.end, self._days, self.rows_a_span)
        behind = [
            piece
            for segment in self.extent.behind
            for piece in spans(segment.since, segment.until, self._days, self.rows_a_span)
        ]
        return asked + behind

    def _carry_at(self, start: int) -> Carry | None:
        """What is carried into `start`: the best that was saved, brought forward from there."""
        commits = list(self.silver.commits())
        carry = best_carry(self.folder, start, self.extent.silver_version, commits)
        since = BEGINNING if carry is None else carry.until
        first = max(since, min(self._days, default=0) * 86_400_000_000)
        for span, rows in self._ahead(spans(first, start, self._days, self.rows_a_span)):
            carry = self.engine.compute(self.view, rows, carry, span.since, span.until, steps=False).carry
        return carry

    def _ahead(self, work: list[Span]) -> Iterator[tuple[Span, pl.DataFrame]]:
        """Read the rows of each span while the one before is computed."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            reading: Future[pl.DataFrame] | None = None
            for index, span in enumerate(work):
                rows = (reading or pool.submit(self._read, span)).result()
                follows = index + 1 < len(work)
                reading = pool.submit(self._read, work[index + 1]) if follows else None
                yield span, rows

    def _read(self, span: Span) -> pl.DataFrame:
        known = pl.col("_hr_known").dt.epoch("us")
        days = pl.col(DAY_COLUMN).is_between(day_of(span.since), day_of(span.until - 1))
        rows = self.silver.scan(self.extent.silver_version).filter(days)
        rows = rows.filter((known >= span.since) & (known < span.until))
        return collect(rows, self.silver, self.extent.silver_version)

    def _compute(self, span: Span, rows: pl.DataFrame, carry: Carry | None) -> Computed:
        opening = not self.gold.computed().contains_instant(span.since - 1)
        computed = self.engine.compute(self.view, rows, carry, span.since, span.until, opening=opening)
        self.rows += len(rows)
        for column, count in computed.non_finite.items():
            self.non_finite[column] = self.non_finite.get(column, 0) + count
        return computed

    def _commit(self, span: Span, computed: Computed, *, last: bool) -> None:
        digest = carry_digest(computed.carry)
        write_span(self.gold, span, computed.steps, self.journal.run_id, self.extent.silver_version, digest)
        self.steps += len(computed.steps)
        self.commits += 1
        self.reached = span.until
        if last or time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS:
            save_carry(self.folder, computed.carry, self.extent.silver_version)
            crash_point("after carry")
            self._saved_at = time.monotonic()

    def report(self, seconds: float) -> BackfillReport:
        """What has been done."""
        return BackfillReport(
            self.view.name, self.journal.run_id, self.extent.start, self.reached, self.rows, self.steps,
            self.commits, self.non_finite, seconds,
        )  # fmt: skip
