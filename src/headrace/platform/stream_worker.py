"""A running stream: reads, plans, takes in, writes, commits; and goes on after a crash where it was.

An epoch's ranges are logged before anything comes of it. Its effects are the same however often they are made: a record
is an absolute value under the epoch's stamp, and tables skip a transaction that they have. So after a crash, or where
a sink was away, the same ranges are read and written again, and then the epoch is logged as committed.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.streams import APPENDED, OFFSET, PARTITION, Received
from headrace.definitions.locations import Debezium, Files
from headrace.errors import OnlineStoreError, RejectedError, StateError, StreamError
from headrace.platform import stream_states
from headrace.platform.crash_points import crash_point
from headrace.platform.landing import FILE
from headrace.platform.refining import hashes
from headrace.platform.registering import ROLLBACK
from headrace.platform.silver import identity
from headrace.platform.stream_loading import empty_lane, loaded_lane, streamed_views, taken_over
from headrace.platform.stream_rows import Judged, judged
from headrace.platform.stream_sinks import LakeSink, OnlineSink, show
from headrace.platform.stream_states import State
from headrace.platform.stream_status import status_folder
from headrace.platform.stream_tally import Tally
from headrace.quality.base import KNOWN
from headrace.streaming.epochs import EpochLog, Plan
from headrace.streaming.identities import Identities
from headrace.streaming.lane import Lane, Moved, moved, swept
from headrace.streaming.status import write_status
from headrace.timeline.watermarks import Watermarks
from headrace.types import SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.connectors.base import Reader
    from headrace.connectors.streams import Stream
    from headrace.definitions.sources import Source
    from headrace.platform.context import Context
    from headrace.platform.online_heads import Head

ENOUGH_ROWS: Final = 1_000
_RETRY_SECONDS: Final = 1.0
_HEAD_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream runs.

    Parameters
    ----------
    epoch_seconds : float
        How long an epoch gathers, where no more is waiting.
    most_rows : int
        How many records an epoch has at most.
    idle_seconds : float
        After how long without records a partition that is read to its end is not waited for.
    snapshot_seconds : float
        How often what is remembered is saved: after a crash so much is read again.
    every_step : bool
        Whether each step is written into the lake too.
    until_idle : bool
        Stop once all that was there is read.
    patience_seconds : float
        For how long a sink that is away is tried again.
    reload : tuple of str
        Views that are to begin again with what is published of them.
    sweep_seconds : float
        How often entities are forgotten whose records have expired.
    """

    epoch_seconds: float = 1.0
    most_rows: int = 500_000
    idle_seconds: float = 10.0
    snapshot_seconds: float = 15.0
    every_step: bool = False
    until_idle: bool = False
    patience_seconds: float = 600.0
    reload: tuple[str, ...] = ()
    sweep_seconds: float = 600.0


@dataclass(slots=True)
class Worker:
    """Runs the stream of one source.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        Whose stream it is.
    stream : Stream
        What is read.
    pace : Pace
        How.
    stop : callable
        Asked between epochs and while waiting.
    tell : callable
        Told what people should know.
    """

    context: Context
    source: Source
    stream: Stream
    pace: Pace
    stop: Callable[[], bool]
    tell: Callable[[str], None]
    state: State = field(init=False)
    tally: Tally = field(init=False)
    _log: EpochLog = field(init=False)
    _reader: Reader = field(init=False)
    _heads: dict[str, Head] = field(default_factory=dict, init=False)
    _head_at: float = field(default=0.0, init=False)
    _saved_at: float = field(default_factory=time.monotonic, init=False)
    _swept_at: float = field(default=-math.inf, init=False)
    _judged: deque[tuple[int, int]] = field(default_factory=deque, init=False)
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), init=False)
    _pending: Future[None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make what it works with."""
        self._log = EpochLog(self.folder)
        self._reader = _reader_of(self.source)
        self.tally = Tally(self.source.name, self.stream.location, self.stream.measures_arrival, self.context.clock())

    @property
    def folder(self) -> Path:
        """Where the log, the snapshots and the status are."""
        return status_folder(self.context, self.source.name)

    @property
    def online(self) -> OnlineSink:
        """Where records go."""
        return OnlineSink(self.context.online, self.source.name)

    @property
    def lake(self) -> LakeSink:
        """Where steps and refused rows go."""
        return LakeSink(self.context, self.source.name)

    def run(self) -> None:
        """Go on until it is time to stop; see `headrace.platform.stream.stream` for what may be raised."""
        try:
            self._begin()
            while not self.stop() and self._epoch():
                pass
            self._settle()
            self.save()
            self._say("stopped")
        except Exception as error:
            if hasattr(self, "state"):
                self._say("failed", str(error))
            raise
        finally:
            self._writer.shutdown()
            self._log.close()

    # ------------------------------------------------------------ beginning

    def _begin(self) -> None:
        """Load what was remembered, and make again what the log says was planned since."""
        ids = Identities(identity(self.source), self.source.dedupe_within_us)
        empty = [empty_lane(self.context, view) for view in streamed_views(self.context, self.source)]
        if not empty:
            raise StreamError(
                f"{self.source.where}: no view that is served online is computed from it: there is nothing to stream."
            )
        found, troubles = stream_states.newest(self.folder / "snapshots", ids, empty)
        for trouble in troubles:
            self.tell(f"{trouble} An older snapshot is taken.")
        logged = self._log.read()
        if found is None:
            logged.after(0)  # raises if the log begins later
            self._begin_anew(ids, first_time=not logged.plans)
        else:
            self._check_meaning(found)
            self.state = found
        for plan in logged.after(self.state.epoch):
            self._again(plan, has_taken_effect=plan.epoch <= logged.committed)
        self._settle()
        self._mend_store()
        self._begin_again(
            [view for view in self.pace.reload if any(lane.view.name == view for lane in self.state.lanes)]
        )
        self._add_lanes(empty)
        self._follow_publications()
        self._show(at_once=True)

    def _begin_anew(self, ids: Identities, *, first_time: bool) -> None:
        views = streamed_views(self.context, self.source)
        lanes = tuple(loaded_lane(self.context, view) for view in views)
        floor = min(lane.floor for lane in lanes)
        bounds = self.stream.bounds()
        slack = self.source.max_future_us + min(self.source.dedupe_within_us, 3_600 * SECOND)
        starts = {
            name: found.earliest if floor <= 0 else self.stream.position_at(name, floor - slack)
            for name, found in bounds.items()
        }
        self.online.forget()
        self.state = State(0, starts, Watermarks(cut=max(floor, 0)), ids, lanes, self._meaning)
        self._load(lanes)
        if first_time:
            self.save()

    @property
    def _meaning(self) -> str:
        return hashes(self.source)["meaning_hash"]

    def _check_meaning(self, state: State) -> None:
        if state.meaning != self._meaning:
            raise StateError(
                f"{self.source.where} was defined otherwise when its stream last ran, so what that remembers does not "
                f"fit. Define it as it was, or begin anew with what is published and kept: "
                f"headrace stream --source {self.source.name} --reset"
            )

    def _begin_again(self, views: Sequence[str]) -> None:
        """Forget the lanes of some views."""
        if views:
            self.state = replace(
                self.state, lanes=tuple(lane for lane in self.state.lanes if lane.view.name not in views)
            )

    def _add_lanes(self, empty: Sequence[Lane]) -> None:
        """Begin the lanes that are missing: with what is published, then, unless the view is held, from the log."""
        known = {lane.view.name for lane in self.state.lanes}
        holds = self.context.registry.holds()
        fresh = [loaded_lane(self.context, lane.view) for lane in empty if lane.view.name not in known]
        if not fresh:
            return
        self.tell(f"{', '.join(lane.view.name for lane in fresh)}: begins with what is published of it and the log.")
        begun = tuple(
            replace(lane, paused=True) if lane.view.name in holds else self._caught_up(lane) for lane in fresh
        )
        order = [lane.view.name for lane in empty]
        lanes = sorted((*self.state.lanes, *begun), key=lambda lane: order.index(lane.view.name))
        self.state = replace(self.state, lanes=tuple(lanes))
        self._load(begun)
        self.save()

    def _follow_publications(self) -> None:
        """Take over what was rolled back, and go on with what was released: at an epoch's boundary."""
        serving, holds = self.context.registry.serving(), self.context.registry.holds()
        again = []
        for lane in self.state.lanes:
            name, published = lane.view.name, serving.get(lane.view.name)
            is_back = published is not None and published.kind == ROLLBACK and published.number > lane.publication
            if is_back or lane.paused != (name in holds):
                again.append(name)
        if again:
            views = streamed_views(self.context, self.source)
            self._begin_again(again)
            self._add_lanes([empty_lane(self.context, view) for view in views])

    def _caught_up(self, lane: Lane) -> Lane:
        """A lane that began behind, after all that the others have read."""
        bounds = self.stream.bounds()
        slack = self.source.max_future_us + min(self.source.dedupe_within_us, 3_600 * SECOND)
        at = {
            name: found.earliest if lane.floor <= 0 else self.stream.position_at(name, lane.floor - slack)
            for name, found in bounds.items()
        }
        at = {name: max(at[name], bounds[name].earliest) for name in self.state.positions if name in at}
        ids = Identities(identity(self.source), self.source.dedupe_within_us)
        goal = {name: self.state.positions[name] for name in at}
        while behind := {name: start for name, start in at.items() if start < goal[name]}:
            received = self.stream.poll(behind, self.pace.most_rows, 1.0)
            until = pl.col(PARTITION).replace_strict(goal, return_dtype=pl.Int64)
            frame = received.frame.filter(pl.col(OFFSET) < until)
            fresh = ids.fresh(self._judge(frame, self.context.clock(), "load").rows)
            lane = moved(self.context.engine, lane, fresh, lane.floor, every_step=False).lane
            ids = ids.with_rows(fresh, self.state.marks.cut)
            at |= received.ends
        if lane.carry is None or lane.carry.until < self.state.marks.cut:
            none = pl.DataFrame(schema=_silver_schema(self.source))
            lane = moved(self.context.engine, lane, none, self.state.marks.cut, every_step=False).lane
        return lane

    def _load(self, lanes: tuple[Lane, ...]) -> None:
        """Write the records of lanes that began, unseen, then let readers see them all at once."""
        for lane in lanes:
            self.online.load(self.state.epoch, lane, self.context.clock())
            self._heads[lane.view.name] = taken_over(self.context, lane, self.source, self.state.marks.cut)
            show(self.context.online, self._heads[lane.view.name])
            self.online.forget_older(lane)

    def _mend_store(self) -> None:
        """Write everything again into an online store that lost what it had."""
        has = self.online.epoch()
        if has < self.state.epoch:
            self.tell(
                f"{self.context.online.location} has epoch {has} of {self.source.name}, and {self.state.epoch} was "
                "written: it lost data. All records are written again."
            )
            self.online.restore(self.state.epoch, self.state.lanes, self.context.clock())
            self._heads.clear()

    # ------------------------------------------------------------ epochs

    def _epoch(self) -> bool:
        """Read on; whether there is more to come."""
        began = time.monotonic()
        bounds = self.stream.bounds()
        positions = {name: self.state.positions.get(name, found.earliest) for name, found in bounds.items()}
        positions |= {name: at for name, at in self.state.positions.items() if name not in bounds and self._is_topic}
        mark = time.perf_counter()
        received = self.stream.poll(positions, self.pace.most_rows, min(0.25, self.pace.epoch_seconds))
        self.tally.stage("read", mark)
        ends = {name: end for name, end in received.ends.items() if end > positions.get(name, 0)}
        at_head = tuple(
            name for name, found in bounds.items() if received.ends.get(name, positions[name]) >= found.head
        )
        if ends or self._closes(at_head, bounds):
            plan = Plan(
                self.state.epoch + 1, {name: (positions[name], end) for name, end in ends.items()},
                self.context.clock(), at_head,
            )  # fmt: skip
            self._log.plan(plan)
            crash_point("after plan")
            self._take(plan, received)
            self.tally.seconds["total"] = round(time.monotonic() - began, 4)
        else:
            self._settle()
            if self.pace.until_idle and len(at_head) == len(bounds):
                return False
        is_new = self.state.epoch > self.tally.snapshot_epoch
        if is_new and time.monotonic() - self._saved_at > self.pace.snapshot_seconds:
            self.save()
        self._show()
        self._say("running")
        if received.frame.height < self.pace.most_rows // 2:
            self._rest(began + self.pace.epoch_seconds)
        return True

    @property
    def _is_topic(self) -> bool:
        return not isinstance(self.source.stream, Files)

    def _closes(self, at_head: tuple[str, ...], bounds: Mapping[str, object]) -> bool:
        """Whether an epoch without records is due: where each step is wanted, windows close though nothing comes."""
        idle_us = int(self.pace.idle_seconds * SECOND)
        marks, now = self.state.marks, self.context.clock()
        all_idle = len(at_head) == len(bounds) and len(marks.idle(set(at_head), now, idle_us)) == len(bounds)
        return self.pace.every_step and bool(marks.reached) and all_idle and now - marks.cut > 2 * idle_us

    def _again(self, plan: Plan, *, has_taken_effect: bool) -> None:
        """Make an epoch again that was planned before a crash."""
        received = self.stream.read(plan.ranges) if plan.ranges else Received(_nothing(), {})
        if has_taken_effect:
            self.state, _ = self._moved(plan, received.frame)
        else:
            self._take(plan, received)

    def _take(self, plan: Plan, received: Received) -> None:
        """Let an epoch take effect: in memory, then, while the next one is read, in every sink and in the log."""
        mark = time.perf_counter()
        state, outcome = self._moved(plan, received.frame)
        self.tally.stage("compute", mark)
        self._settle()
        self.state = state
        self._pending = self._writer.submit(self._effect, plan, outcome, received.frame)

    def _effect(self, plan: Plan, outcome: _Outcome, frame: pl.DataFrame) -> None:
        """Write an epoch into every sink, then log that it took effect."""
        mark = time.perf_counter()
        self._patiently(lambda: self._write(plan.epoch, outcome))
        mark = self.tally.stage("write", mark)
        crash_point("before commit")
        self._log.commit(plan.epoch)
        crash_point("after commit")
        self.tally.stage("commit", mark)
        self.tally.served(frame, plan.read_at, self.context.clock())

    def _settle(self) -> None:
        """Wait until the last epoch has taken effect."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _moved(self, plan: Plan, frame: pl.DataFrame) -> tuple[State, _Outcome]:
        """What an epoch makes of what is remembered; nothing is written."""
        found = self._judge(frame, plan.read_at, f"stream-{plan.epoch:012d}")
        fresh = self.state.identities.fresh(found.rows)
        self.tally.read(frame, time.monotonic())
        self.tally.rejected += found.rejected.height
        self.tally.duplicates += found.rows.height - fresh.height
        self.tally.late += found.late
        marks = self._marks(plan, frame, fresh)
        done = [
            moved(self.context.engine, lane, fresh, marks.cut, every_step=self.pace.every_step)
            for lane in self.state.lanes
            if not lane.paused
        ]
        ids = self.state.identities.with_rows(fresh, marks.cut)
        after = {each.lane.view.name: each.lane for each in done}
        lanes = tuple(after.get(lane.view.name, lane) for lane in self.state.lanes)
        state = State(plan.epoch, {**self.state.positions, **plan.ends}, marks, ids, lanes, self.state.meaning)
        return state, _Outcome(done, found.rejected)

    def _judge(self, frame: pl.DataFrame, read_at: int, batch: str) -> Judged:
        found = judged(self.source, self._reader, frame, read_at, batch)
        self._judged.append((frame.height, found.rejected.height))
        while len(self._judged) > 1 and sum(rows for rows, _ in self._judged) - self._judged[0][0] >= ENOUGH_ROWS:
            self._judged.popleft()
        rows, rejected = (sum(each) for each in zip(*self._judged, strict=True))
        if rows >= ENOUGH_ROWS and rejected / rows > self.source.max_rejected_share:
            why = ", ".join(f"{reason} {count:,}" for reason, count in found.reasons.most_common(5))
            raise RejectedError(
                f"{self.source.where}, {self.stream.location}: {rejected:,} of the last {rows:,} records "
                f"({rejected / rows:.1%}) are refused; at most {self.source.max_rejected_share:.1%} may be. Reasons: "
                f"{why}. Nothing of this epoch was written. Mend the definition or the producer, then run it again."
            )
        return found

    def _marks(self, plan: Plan, frame: pl.DataFrame, fresh: pl.DataFrame) -> Watermarks:
        """How far the stream has come with an epoch."""
        measured = self.source.available_time is None and self.stream.measures_arrival
        if measured and not isinstance(self.source.stream, Debezium):
            times, by, allowed = frame.select(PARTITION, pl.col(APPENDED).dt.epoch("us").alias("t")), PARTITION, 0
            after = self.source.known_after_us
        else:
            times, by, after = fresh.select(FILE, pl.col(KNOWN).dt.epoch("us").alias("t")), FILE, 0
            allowed = self.source.max_lateness_us
        newest = times.drop_nulls().group_by(by).agg(pl.col("t").max())
        heard = {name: int(time_us) + after for name, time_us in newest.iter_rows()}
        self.tally.last_appended |= heard
        marks = self.state.marks.heard(heard, plan.read_at)
        idle_us = int(self.pace.idle_seconds * SECOND)
        return marks.advanced(plan.read_at, set(plan.at_head), idle_us, allowed, closing=self.pace.every_step)

    def _write(self, epoch: int, outcome: _Outcome) -> None:
        """Write an epoch into every sink that does not have it yet."""
        if outcome.rejected.height:
            self.lake.quarantine(epoch, outcome.rejected)
            crash_point("after streamed quarantine")
        if self.pace.every_step:
            for each in outcome.moved:
                self.lake.write(epoch, each)
                self.tally.steps[each.lane.view.name] += each.steps.height
        if self.online.epoch() < epoch - 1:
            self._mend_store()
        self.online.write(epoch, outcome.moved, self.context.clock())
        for each in outcome.moved:
            lane = each.lane
            self.tally.records[lane.view.name] += each.records.select(lane.keys).n_unique() if lane.keys else 1

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write; again and again while the online store is away."""
        deadline = time.monotonic() + self.pace.patience_seconds
        is_waiting = False
        while True:
            try:
                write()
            except OnlineStoreError as error:
                if self.stop() or time.monotonic() > deadline:
                    raise
                if not is_waiting:
                    self.tell(f"{error} Trying again until it is there.")
                is_waiting = True
                self._rest(time.monotonic() + _RETRY_SECONDS)
            else:
                return

    # ------------------------------------------------------------ beside

    def _show(self, *, at_once: bool = False) -> None:
        """Let readers know how far it has come."""
        if not at_once and time.monotonic() - self._head_at < _HEAD_SECONDS:
            return
        self._settle()
        if not at_once:
            self._follow_publications()
        self._head_at = time.monotonic()
        for lane in self.state.lanes:
            head = self._heads.get(lane.view.name) or taken_over(self.context, lane, self.source, self.state.marks.cut)
            head = replace(head, frontier=self.state.marks.cut, written_at=self.context.clock())
            self._heads[lane.view.name] = head
            self._patiently(lambda head=head: show(self.context.online, head))  # type: ignore[misc]

    def save(self) -> None:
        """Save what is remembered, and forget the log before the oldest snapshot that is kept."""
        self._settle()
        self._sweep()
        folder = self.folder / "snapshots"
        stream_states.save(folder, self.state)
        crash_point("after snapshot")
        self._log.forget(stream_states.oldest_epoch(folder) + 1)
        self.tally.snapshot_epoch = self.state.epoch
        self._saved_at = time.monotonic()

    def _sweep(self) -> None:
        """Forget entities whose records have expired, in memory and in the store: by the clock, and by the cut."""
        if time.monotonic() - self._swept_at < self.pace.sweep_seconds:
            return
        self._swept_at = time.monotonic()
        lanes = []
        for lane in self.state.lanes:
            kept, gone = swept(lane, min(self.context.clock(), self.state.marks.cut))
            self.context.online.delete_many(gone)
            lanes.append(kept)
        self.state = replace(self.state, lanes=tuple(lanes))

    def _say(self, condition: str, why: str = "") -> None:
        try:
            bounds = self.stream.bounds()
        except StreamError:
            bounds = {}  # it is what the stream fails of: its reason is in `why`
        done = self.state.epoch - (self._pending is not None)
        sinks = {"online": done} | ({"lake": done} if self.pace.every_step else {})
        write_status(self.folder, self.tally.status(self.state, bounds, condition, why, sinks, self.context.clock()))

    def _rest(self, until: float) -> None:
        while time.monotonic() < until and not self.stop():
            time.sleep(max(0.0, min(0.05, until - time.monotonic())))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What an epoch is to write."""

    moved: list[Moved]
    rejected: pl.DataFrame


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


def _nothing() -> pl.DataFrame:
    from headrace.connectors.streams import RECEIVED

    return pl.DataFrame(schema=RECEIVED)


def _silver_schema(source: Source) -> pl.Schema:
    from headrace.platform.silver import silver_schema

    return silver_schema(source)
