"""With what the views of a stream begin, and what readers see of them: decided by one worker alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from headrace.connectors.streams import OFFSET, PARTITION
from headrace.platform.registering import ROLLBACK
from headrace.platform.silver import identity, silver_schema
from headrace.platform.stream_heads import Heads
from headrace.platform.stream_loading import empty_lanes, loaded_lane, streamed_views, with_loaded
from headrace.platform.stream_states import State
from headrace.streaming.identities import Identities
from headrace.streaming.lane import Lane, moved
from headrace.timeline.watermarks import Watermarks
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.stream_worker import Worker


def changed(context: Context, lanes: Iterable[Lane]) -> list[str]:
    """The views that were rolled back, held or released since their lanes began: these begin again."""
    serving, holds = context.registry.serving(), context.registry.holds()
    again = []
    for lane in lanes:
        name, published = lane.view.name, serving.get(lane.view.name)
        is_back = published is not None and published.kind == ROLLBACK and published.number > lane.publication
        if is_back or lane.paused != (name in holds):
            again.append(name)
    return again


@dataclass(slots=True)
class Control:
    """What the worker that reads all partitions does beside its epochs.

    Parameters
    ----------
    worker : Worker
        The worker.
    heads : Heads
        By which readers see its views.
    """

    worker: Worker
    heads: Heads = field(init=False)

    def __post_init__(self) -> None:
        """Make what it works with."""
        self.heads = Heads(self.worker.context, self.worker.source)

    def begin(self, empty: Sequence[Lane]) -> None:
        """Let each view begin that has to, once what was planned before is done."""
        lanes = {lane.view.name for lane in self.worker.state.lanes}
        self._begin_again([view for view in self.worker.pace.reload if view in lanes])
        self._add_lanes(empty)
        self.follow()

    def begin_anew(self, ids: Identities, *, first_time: bool) -> None:
        """Begin with what is published of each view, and with the log from where that ends."""
        worker = self.worker
        lanes = tuple(loaded_lane(worker.context, view) for view in streamed_views(worker.context, worker.source))
        floor = min(lane.floor for lane in lanes)
        worker.online.forget()
        # Tables skip an epoch that they have: a stream that begins anew goes on behind those of its predecessor.
        epoch = worker.lake.newest(lanes) if first_time else 0
        ids = with_loaded(worker.context, worker.source, ids, lanes)
        worker.state = State(epoch, self._starts(floor), Watermarks(cut=max(floor, 0)), ids, lanes, worker.meaning)
        self._load(lanes)
        if first_time:
            worker.save()

    def follow(self) -> None:
        """Take over what was rolled back, and go on with what was released: at an epoch's boundary."""
        worker = self.worker
        if again := changed(worker.context, worker.state.lanes):
            worker.settle()
            self._begin_again(again)
            self._add_lanes(empty_lanes(worker.context, worker.source))

    def _starts(self, floor: int) -> dict[str, int]:
        """From where on each partition is to be read, for rows that count from an instant on."""
        source, stream = self.worker.source, self.worker.stream
        slack = source.max_future_us + min(source.dedupe_within_us, 3_600 * SECOND)
        return {
            name: found.earliest if floor <= 0 else max(found.earliest, stream.position_at(name, floor - slack))
            for name, found in stream.bounds().items()
        }

    def _begin_again(self, views: Sequence[str]) -> None:
        """Forget the lanes of some views."""
        state = self.worker.state
        kept = tuple(lane for lane in state.lanes if lane.view.name not in views)
        self.worker.state = replace(state, lanes=kept)

    def _add_lanes(self, empty: Sequence[Lane]) -> None:
        """Begin the lanes that are missing: with what is published, then, unless the view is held, from the log."""
        worker, holds = self.worker, self.worker.context.registry.holds()
        known = {lane.view.name for lane in worker.state.lanes}
        fresh = [loaded_lane(worker.context, lane.view) for lane in empty if lane.view.name not in known]
        if not fresh:
            return
        worker.tell(f"{', '.join(lane.view.name for lane in fresh)}: begins with what is published of it and the log.")
        begun = tuple(
            replace(lane, paused=True) if lane.view.name in holds else self._caught_up(lane) for lane in fresh
        )
        order = [lane.view.name for lane in empty]
        lanes = sorted((*worker.state.lanes, *begun), key=lambda lane: order.index(lane.view.name))
        worker.state = replace(worker.state, lanes=tuple(lanes))
        self._load(begun)
        worker.save(anew=True)

    def _caught_up(self, lane: Lane) -> Lane:
        """A lane that began behind, after all that the others have read."""
        worker, engine, cut = self.worker, self.worker.context.engine, self.worker.state.marks.cut
        ids = Identities(identity(worker.source), worker.source.dedupe_within_us)
        ids = with_loaded(worker.context, worker.source, ids, [lane])
        at = {name: start for name, start in self._starts(lane.floor).items() if name in worker.state.positions}
        goal = {name: worker.state.positions[name] for name in at}
        while behind := {name: start for name, start in at.items() if start < goal[name]}:
            received = worker.stream.poll(behind, worker.pace.most_rows, 1.0)
            until = pl.col(PARTITION).replace_strict(goal, return_dtype=pl.Int64)
            frame = received.frame.filter(pl.col(OFFSET) < until)
            fresh = ids.fresh(worker.mover.judge(frame, worker.context.clock(), "load").rows)
            lane = moved(engine, lane, fresh, lane.floor, every_step=False, received=frame).lane
            ids = ids.with_rows(fresh, cut)
            at |= received.ends
        if lane.carry is None or lane.carry.until < cut:
            none = pl.DataFrame(schema=silver_schema(worker.source))
            lane = moved(engine, lane, none, cut, every_step=False).lane
        return lane

    def _load(self, lanes: Sequence[Lane]) -> None:
        """Write the records of lanes that began, unseen, then let readers see them all at once."""
        worker = self.worker
        for lane in lanes:
            worker.online.load(worker.state.epoch, lane, worker.context.clock())
            self.heads.take_over(lane, worker.state.marks.cut)
            worker.online.forget_older(lane)
