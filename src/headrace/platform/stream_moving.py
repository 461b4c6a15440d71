"""What an epoch makes of what a stream remembers: judged rows, a watermark, and each view's lane moved on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.streams import APPENDED, PARTITION
from headrace.definitions.locations import Debezium, Files
from headrace.definitions.sources import EventSource
from headrace.errors import RejectedError, StateError
from headrace.platform.landing import FILE
from headrace.platform.stream_rows import Judged, judged
from headrace.platform.stream_states import State
from headrace.platform.stream_tally import Tally
from headrace.quality.base import AVAILABLE, KNOWN
from headrace.streaming.epochs import Plan
from headrace.streaming.lane import Moved, moved
from headrace.timeline.watermarks import Watermarks
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.connectors.base import Reader
    from headrace.definitions.sources import Source
    from headrace.engines.base import Engine

ENOUGH_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an epoch is to write."""

    moved: list[Moved]
    rejected: pl.DataFrame


@dataclass(slots=True)
class Mover:
    """Takes epochs in; nothing is written.

    Parameters
    ----------
    engine : Engine
        Computes.
    source : Source
        Whose stream it is.
    location : str
        Where that is.
    tally : Tally
        Counts.
    idle_seconds : float
        As of `headrace.platform.stream_pace.Pace`.
    every_step : bool
        Whether each step is wanted.
    check : callable
        Asked about each epoch's rows.
    """

    engine: Engine
    source: Source
    location: str
    tally: Tally
    idle_seconds: float
    every_step: bool
    check: Callable[[pl.DataFrame], None] = lambda _: None
    _reader: Reader = field(init=False)
    _judged: deque[tuple[int, int]] = field(default_factory=deque, init=False)

    def __post_init__(self) -> None:
        """Make what it works with."""
        self._reader = _reader_of(self.source)

    def moved(self, state: State, plan: Plan, frame: pl.DataFrame) -> tuple[State, Outcome]:
        """What an epoch makes of what is remembered; nothing is written."""
        found = self.judge(frame, plan.read_at, f"stream-{plan.epoch:012d}")
        fresh = state.identities.fresh(found.rows)
        self.check(fresh)
        self.tally.read(frame, time.monotonic())
        self.tally.rejected += found.rejected.height
        self.tally.duplicates += found.rows.height - fresh.height
        self.tally.late += found.late
        marks = self._marks(state, plan, frame, fresh)
        until = marks.cut if self.every_step or plan.cap else marks.ahead(plan.read_at)
        done = [
            moved(self.engine, lane, fresh, until, every_step=self.every_step, received=frame)
            for lane in state.lanes
            if not lane.paused
        ]
        ids = state.identities.with_rows(fresh, marks.cut)
        after = {each.lane.view.name: each.lane for each in done}
        lanes = tuple(after.get(lane.view.name, lane) for lane in state.lanes)
        after_it = State(plan.epoch, {**state.positions, **plan.ends}, marks, ids, lanes, state.meaning)
        return after_it, Outcome(done, found.rejected)

    def judge(self, frame: pl.DataFrame, read_at: int, batch: str) -> Judged:
        """An epoch's records, judged by the source's contract.

        Raises
        ------
        RejectedError
            If too many of those that came lately are refused.
        """
        found = judged(self.source, self._reader, frame, read_at, batch)
        self._judged.append((frame.height, found.rejected.height))
        while len(self._judged) > 1 and sum(rows for rows, _ in self._judged) - self._judged[0][0] >= ENOUGH_ROWS:
            self._judged.popleft()
        rows, rejected = (sum(each) for each in zip(*self._judged, strict=True))
        if rows >= ENOUGH_ROWS and rejected / rows > self.source.max_rejected_share:
            why = ", ".join(f"{reason} {count:,}" for reason, count in found.reasons.most_common(5))
            raise RejectedError(
                f"{self.source.where}, {self.location}: {rejected:,} of the last {rows:,} records "
                f"({rejected / rows:.1%}) are refused; at most {self.source.max_rejected_share:.1%} may be. Reasons: "
                f"{why}. Nothing of this epoch was written. Mend the definition or the producer, then run it again."
            )
        return found

    def _marks(self, state: State, plan: Plan, frame: pl.DataFrame, fresh: pl.DataFrame) -> Watermarks:
        """How far the stream has come with an epoch."""
        measured = self.source.available_time is None and self.tally.measures_arrival
        if measured and not isinstance(self.source.stream, Debezium):
            times, by, allowed = frame.select(PARTITION, pl.col(APPENDED).dt.epoch("us").alias("t")), PARTITION, 0
            after = self.source.known_after_us
        else:
            times, by, after = fresh.select(FILE, self._counts_from(plan).alias("t")), FILE, 0
            allowed = self.source.max_lateness_us
        newest = times.drop_nulls().group_by(by).agg(pl.col("t").max())
        heard = {name: int(time_us) + after for name, time_us in newest.iter_rows()}
        self.tally.last_appended |= heard
        marks = state.marks.heard(heard, plan.read_at)
        idle_us = int(self.idle_seconds * SECOND)
        after_it = marks.advanced(
            plan.read_at, set(plan.at_head), idle_us, allowed, closing=self.every_step,
            partitions={*state.positions, *plan.ranges},
        )  # fmt: skip
        if plan.cap:
            return replace(after_it, cut=min(after_it.cut, plan.cap) if plan.ranges else plan.cap)
        return after_it

    def _counts_from(self, plan: Plan) -> pl.Expr:
        """From when on rows count; one that was pushed by a clock that is ahead does not move the watermark there."""
        known = pl.col(KNOWN).dt.epoch("us")
        if self.source.available_time is not None or not isinstance(self.source, EventSource):
            return known
        return (
            pl.when(pl.col(AVAILABLE).is_null()).then(known).otherwise(pl.min_horizontal(known, pl.lit(plan.read_at)))
        )


def _reader_of(source: Source) -> Reader:
    from headrace.connectors.base import open_reader
    from headrace.connectors.debezium import DebeziumReader
    from headrace.connectors.jsonl import JsonLinesReader

    location = source.stream
    if location is None:
        raise StateError(f"{source.where} has no stream: give it stream=hr.Kafka(…) or hr.Files(…).")
    if isinstance(location, Files):
        return open_reader(source, location)
    return DebeziumReader(source) if isinstance(location, Debezium) else JsonLinesReader(source)
