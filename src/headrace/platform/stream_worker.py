"""A running stream: reads, plans, takes in, writes, commits; and goes on after a crash where it was.

An epoch's ranges are logged before anything comes of it. Its effects are the same however often they are made: a record
is an absolute value under the epoch's stamp, and tables skip a transaction that they have. So after a crash, or where
a sink was away, the same ranges are read and written again, and then the epoch is logged as committed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from headrace.connectors.streams import RECEIVED, Received
from headrace.connectors.transactions import AbortedError
from headrace.definitions.locations import Files
from headrace.errors import OnlineStoreError, StateError, StreamError, UnreachableError
from headrace.platform import stream_states
from headrace.platform.crash_points import crash_point
from headrace.platform.refining import hashes
from headrace.platform.silver import identity
from headrace.platform.stream_control import Control
from headrace.platform.stream_loading import empty_lanes, streamed_views
from headrace.platform.stream_moving import Mover, Outcome
from headrace.platform.stream_pace import WHOLE, MisplacedError, Pace, Part
from headrace.platform.stream_saving import Saver
from headrace.platform.stream_sinks import LakeSink, OnlineSink
from headrace.platform.stream_states import State
from headrace.platform.stream_status import CATCHING_UP, FAILED, RUNNING, STOPPED, status_folder
from headrace.platform.stream_tally import Tally
from headrace.platform.stream_topics import TopicSink
from headrace.streaming.epochs import EpochLog, Logged, Plan
from headrace.streaming.identities import Identities
from headrace.streaming.lane import Moved, swept
from headrace.streaming.status import write_status
from headrace.types import SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.connectors.streams import Bounds, Stream
    from headrace.definitions.sources import Source
    from headrace.platform.context import Context

T = TypeVar("T")

_RETRY_SECONDS: Final = 1.0
_HEAD_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.25
_GATHER_SECONDS: Final = 3.0


@dataclass(slots=True)
class Worker:
    """Runs the stream of one source, or of some of its partitions.

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
    reset : bool
        Whether what is in topics is of an earlier stream, and this one begins anew.
    part : Part
        Which part of the partitions `stream` has. One that has not all goes on with a state that was made for it,
        and leaves to others with what views begin and what readers see.
    check : callable
        Asked about each epoch's rows, besides the contract; raises what ends the stream.
    """

    context: Context
    source: Source
    stream: Stream
    pace: Pace
    stop: Callable[[], bool]
    tell: Callable[[str], None]
    reset: bool = False
    part: Part = WHOLE
    check: Callable[[pl.DataFrame], None] = lambda _: None
    state: State = field(init=False)
    tally: Tally = field(init=False)
    _effective: State = field(init=False)
    mover: Mover = field(init=False)
    _log: EpochLog = field(init=False)
    _topics: TopicSink | None = field(init=False)
    _saver: Saver = field(init=False)
    _control: Control = field(init=False)
    _head_at: float = field(default=0.0, init=False)
    _swept_at: float = field(default=-math.inf, init=False)
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), init=False)
    _pending: Future[None] | None = field(default=None, init=False)
    _written: int = field(default=0, init=False)
    _bounds: dict[str, Bounds] = field(default_factory=dict, init=False)
    _is_waiting: bool = field(default=False, init=False)
    _is_mute: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Make what it works with."""
        self._log = EpochLog(self.folder)
        self._control = Control(self)
        self._topics = TopicSink.of_worker(self.context, self.source.name, self.part.writer)
        self.tally = Tally(
            self.source.name, self.stream.location, self.stream.measures_arrival, self.context.clock(), self.part
        )
        self._saver = Saver(self.folder / "snapshots", self._log, self.tally, self.tell)
        self.mover = Mover(
            self.context.engine,
            self.source,
            self.stream.location,
            self.tally,
            self.pace.idle_seconds,
            self.every_step,
            self.check,
        )

    @property
    def folder(self) -> Path:
        """Where the log and the snapshots are."""
        return part_folder(status_folder(self.context, self.source.name), self.part)

    @property
    def online(self) -> OnlineSink:
        """Where records go."""
        return OnlineSink(self.context.online, self.source.name, self.part.writer)

    @property
    def lake(self) -> LakeSink:
        """Where steps and refused rows go."""
        return LakeSink(self.context, self.source.name, self.part.writer)

    @property
    def every_step(self) -> bool:
        """Whether each step is wanted, for the lake or for topics."""
        return self.pace.every_step or self._topics is not None

    @property
    def meaning(self) -> str:
        """A digest of what the source's rows mean."""
        return hashes(self.source)["meaning_hash"]

    def run(self) -> None:
        """Go on until it is time to stop; see `headrace.platform.stream.stream` for what may be raised."""
        self._run(self._go_on)

    def prepare(self) -> None:
        """Make again what was planned before a crash, let views begin, and save it all, but read nothing new."""
        self._run(lambda: None)

    def _run(self, work: Callable[[], None]) -> None:
        try:
            self._begin()
            work()
            self.save()
            self._say(STOPPED)
        except Exception as error:
            if hasattr(self, "state"):
                self._say(FAILED, str(error))
            raise
        finally:
            self._writer.shutdown()
            self._saver.close()
            self._log.close()
            if self._topics is not None:
                self._topics.close()

    def _go_on(self) -> None:
        while not self.stop() and self._epoch():
            pass
        if self.pace.cap > self.state.marks.cut and not self.stop():  # all is read: nothing earlier comes any more
            plan = Plan(self.state.epoch + 1, {}, self.context.clock(), (), self.pace.cap)
            self._log.plan(plan)
            self._take(plan, Received(_nothing(), {}))

    # ------------------------------------------------------------ beginning

    def _begin(self) -> None:
        """Load what was remembered, and make again what the log says was planned since."""
        ids = Identities(identity(self.source), self.source.dedupe_within_us)
        empty = empty_lanes(self.context, self.source)
        if not empty:
            raise StreamError(
                f"{self.source.where}: no view that is served online is computed from it: there is nothing to stream."
            )
        found, troubles = stream_states.newest(self.folder / "snapshots", ids, empty)
        for trouble in troubles:
            self.tell(f"{trouble} An older snapshot is taken.")
        logged = self._log.read()
        self._begin_topics(logged, 0 if found is None else found.epoch)
        if found is not None:
            self._check_meaning(found)
            self.state = found
        elif self.part.is_all:
            logged.after(0)  # raises if the log begins later
            self._control.begin_anew(ids, first_time=not logged.plans)
            if self.reset:
                self._begin_topics(logged, self.state.epoch)
        else:
            raise StateError(
                f"{self.folder}: no snapshot of worker {self.part.number} of {self.part.count} can be read. Begin "
                f"anew: headrace stream --source {self.source.name} --reset"
            )
        self._written = self.state.epoch
        for plan in logged.after(self.state.epoch):
            self._again(plan, has_taken_effect=plan.epoch <= logged.committed)
        self.settle()
        self._mend_store()
        if self.part.is_all:
            self._control.begin(empty)
        self._show(at_once=True)

    def _begin_topics(self, logged: Logged, saved: int) -> None:
        """Take the topics over, before anything is written."""
        if self._topics is not None:
            views = [view.name for view in streamed_views(self.context, self.source)]
            committed = max(logged.committed, saved)
            planned = max(committed, *(plan.epoch for plan in logged.plans), 0)
            self._topics.begin(views, committed, planned, anew=self.reset)

    def _check_meaning(self, state: State) -> None:
        if state.meaning != self.meaning:
            raise StateError(
                f"{self.source.where} was defined otherwise when its stream last ran, so what that remembers does not "
                f"fit. Define it as it was, or begin anew with what is published and kept: "
                f"headrace stream --source {self.source.name} --reset"
            )

    def _mend_store(self) -> None:
        """Write everything again into an online store that lost what it had."""
        has = self.online.epoch()
        if has < self.state.epoch:
            self.tell(
                f"{self.context.online.location} has epoch {has} of {self.source.name}, and {self.state.epoch} was "
                "written: it lost data. All records are written again."
            )
            self.online.restore(self.state.epoch, self.state.lanes, self.context.clock())
            self._control.heads.forget()

    # ------------------------------------------------------------ epochs

    def _epoch(self) -> bool:
        """Read on; whether there is more to come."""
        began = time.monotonic()
        if self.pace.cap and self.state.marks.cut >= self.pace.cap:
            return False
        if (polled := self._reached(self._polled)) is None:
            return True  # it is time to stop
        positions, received = polled
        bounds = self._bounds
        known = self.state.positions
        ends = {name: end for name, end in received.ends.items() if end > positions.get(name, 0) or name not in known}
        at_head = tuple(
            name for name, found in bounds.items() if received.ends.get(name, positions[name]) >= found.head
        )
        if any(end > positions[name] for name, end in ends.items()) or self._closes(at_head, bounds):
            plan = Plan(
                self.state.epoch + 1, {name: (positions[name], end) for name, end in ends.items()},
                self.context.clock(), at_head, self.pace.cap,
            )  # fmt: skip
            self._log.plan(plan)
            crash_point("after plan")
            self._take(plan, received)
            self.tally.seconds["total"] = round(time.monotonic() - began, 4)
        else:
            self.settle()
            if (self.pace.until_idle or self.pace.cap) and len(at_head) == len(bounds):
                return False
        is_new = self._effective.epoch > self.tally.snapshot_epoch
        if is_new and time.monotonic() - self._saver.saved_at > self.pace.snapshot_seconds:
            self._sweep()
            self._saver.save_beside(self._effective)
        self._show()
        self._say(RUNNING)
        if received.frame.height < self.pace.most_rows // 2:
            self._rest(began + self.pace.epoch_seconds)
        return True

    def _polled(self) -> tuple[dict[str, int], Received]:
        """What can be read now, and from where on it was read."""
        self._bounds = bounds = self.stream.bounds()
        positions = {name: self.state.positions.get(name, found.earliest) for name, found in bounds.items()}
        positions |= {name: at for name, at in self.state.positions.items() if name not in bounds and self._is_topic}
        waiting = sum(max(0, found.head - positions[name]) for name, found in bounds.items())
        patience = _GATHER_SECONDS if waiting >= self.pace.most_rows else min(_LOOK_SECONDS, self.pace.epoch_seconds)
        mark = time.perf_counter()
        received = self.stream.poll(positions, self.pace.most_rows, patience)
        self.tally.stage("read", mark)
        return positions, received

    def _reached(self, ask: Callable[[], T]) -> T | None:
        """Ask the log; again and again while it is only out of reach. None if it is time to stop."""
        while not self.stop():
            try:
                answer = ask()
            except UnreachableError as error:
                if self.pace.until_idle:
                    raise
                self.settle()
                if not self._is_waiting:
                    self.tell(f"{error} Waiting for it.")
                self._is_waiting = True
                self._say(CATCHING_UP, f"{error} Waiting for it.")
                self._rest(time.monotonic() + _RETRY_SECONDS)
            else:
                if self._is_waiting:
                    self.tell(f"{self.stream.location} is there again: going on.")
                self._is_waiting = False
                return answer
        return None

    @property
    def _is_topic(self) -> bool:
        return not isinstance(self.source.stream, Files)

    def _closes(self, at_head: tuple[str, ...], bounds: Mapping[str, object]) -> bool:
        """Whether an epoch without records is due: where each step is wanted, windows close though nothing comes."""
        idle_us = int(self.pace.idle_seconds * SECOND)
        marks, now = self.state.marks, self.context.clock()
        all_idle = len(at_head) == len(bounds) and len(marks.idle(set(at_head), now, idle_us)) == len(bounds)
        return self.every_step and bool(marks.reached) and all_idle and now - marks.cut > 2 * idle_us

    def _again(self, plan: Plan, *, has_taken_effect: bool) -> None:
        """Make an epoch again that was planned before a crash."""
        received = self.stream.read(plan.ranges) if plan.ranges else Received(_nothing(), {})
        if has_taken_effect:
            self.state, _ = self.mover.moved(self.state, plan, received.frame)
            self._written = plan.epoch
        else:
            self._take(plan, received)

    def _take(self, plan: Plan, received: Received) -> None:
        """Let an epoch take effect: in memory, then, while the next one is read, in every sink and in the log."""
        mark = time.perf_counter()
        try:
            state, outcome = self.mover.moved(self.state, plan, received.frame)
        except MisplacedError:
            self.settle()
            self._log.void(plan.epoch)
            raise
        self.tally.stage("compute", mark)
        self.settle()
        self.state = state
        self._pending = self._writer.submit(self._effect, plan, outcome, received.frame)

    def _effect(self, plan: Plan, outcome: Outcome, frame: pl.DataFrame) -> None:
        """Write an epoch into every sink, then log that it took effect."""
        mark = time.perf_counter()
        self._patiently(lambda: self._write(plan.epoch, outcome))
        self._count(outcome.moved)
        mark = self.tally.stage("write", mark)
        crash_point("before commit")
        self._log.commit(plan.epoch)
        self._written = plan.epoch
        crash_point("after commit")
        self.tally.stage("commit", mark)
        self.tally.served(frame, plan.read_at, self.context.clock())

    def settle(self) -> None:
        """Wait until all that is remembered has taken effect."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()
        self._effective = self.state

    def _write(self, epoch: int, outcome: Outcome) -> None:
        """Write an epoch into every sink that does not have it yet."""
        if outcome.rejected.height:
            self.lake.quarantine(epoch, outcome.rejected)
            crash_point("after streamed quarantine")
        if self.pace.every_step:
            for each in outcome.moved:
                self.lake.write(epoch, each)
        if self.online.epoch() < epoch - 1:
            self._mend_store()
        self.online.write(epoch, outcome.moved, self.context.clock())
        if self._topics is not None:  # the last one, as its transaction decides
            self._topics.write(epoch, outcome.moved)

    def _count(self, moved: Sequence[Moved]) -> None:
        for each in moved:
            lane = each.lane
            self.tally.records[lane.view.name] += each.entities
            if self.every_step:
                self.tally.steps[lane.view.name] += each.steps.height

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write; again and again while the online store or Kafka is away: a sink that has the epoch skips it."""
        deadline = time.monotonic() + self.pace.patience_seconds
        is_waiting = False
        while True:
            try:
                write()
            except (OnlineStoreError, AbortedError) as error:
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
        """Let readers know how far it has come, and follow what was published."""
        if not self.part.is_all or (not at_once and time.monotonic() - self._head_at < _HEAD_SECONDS):
            return
        if not at_once:
            self._control.follow()
        self._head_at = time.monotonic()
        shown = self._effective
        self._patiently(lambda: self._control.heads.show(shown.lanes, shown.marks.cut))

    def save(self, *, anew: bool = False) -> None:
        """Save what is remembered, now; see `headrace.platform.stream_saving.Saver.save`."""
        self.settle()
        self._sweep()
        self._saver.save(self.state, anew=anew)

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
        if not self._is_waiting:  # asked anew: what came since the epoch began is lag too
            with suppress(StreamError):  # then the last ones are shown; `why`, or the next epoch, says what is wrong
                self._bounds = self.stream.bounds()
        has_sink = {"online": True, "lake": self.pace.every_step, "kafka": self._topics is not None}
        sinks = {name: self._written for name, is_there in has_sink.items() if is_there}
        found = self.tally.status(self.state, self._bounds, condition, why, sinks, self.context.clock())
        try:
            write_status(status_folder(self.context, self.source.name), found)
        except OSError as error:  # nothing depends on it: what does is written elsewhere, and is heard of from there
            if not self._is_mute:
                self.tell(f"Its status can't be written, and shows how it was before: {error}")
            self._is_mute = True
        else:
            self._is_mute = False

    def _rest(self, until: float) -> None:
        while time.monotonic() < until and not self.stop():
            time.sleep(max(0.0, min(0.05, until - time.monotonic())))


def part_folder(folder: Path, part: Part) -> Path:
    """Where a part's log and snapshots are, in the folder of its source's stream."""
    return folder if part.is_all else folder / "parts" / str(part.number)


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=RECEIVED)
