"""Several workers of one stream: a process each, with some of the partitions, that begin and end together.

This process reads nothing. It lets views begin while the stream is whole, splits what is remembered, starts the
workers, tells readers how far the slowest has come, and makes a whole of the parts again where a view has to begin anew
or the number of workers changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headrace.errors import OnlineStoreError
from headrace.platform.stream_control import changed
from headrace.platform.stream_hands import Hands
from headrace.platform.stream_heads import Heads
from headrace.platform.stream_loading import empty_lanes
from headrace.platform.stream_parts import Layout, Parts, alone
from headrace.platform.stream_splitting import Keyed, PartStream
from headrace.platform.stream_worker import Worker

if TYPE_CHECKING:
    from headrace.connectors.streams import Stream
    from headrace.definitions.sources import Source
    from headrace.platform.context import Context
    from headrace.platform.stream_pace import Pace, Part
    from headrace.streaming.lane import Lane


@dataclass(slots=True)
class Crew:
    """The workers of a source's stream.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        Whose stream it is.
    stream : Stream
        All of it.
    pace : Pace
        How each worker runs.
    workers : int
        How many.
    stop : callable
        Asked while they run.
    tell : callable
        Told what people should know.
    reset : bool
        As of `Worker`.
    """

    context: Context
    source: Source
    stream: Stream
    pace: Pace
    workers: int
    stop: Callable[[], bool]
    tell: Callable[[str], None]
    reset: bool = False
    parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        """Make what it works with."""
        self.parts = Parts(self.context, self.source)

    def run(self) -> None:
        """Run them until it is time to stop; what one of them fails of, all do."""
        keyed = Keyed.of(self.context, self.source, len(self.stream.bounds()))
        while not self.stop():
            layout = self._ready(keyed)
            if layout is None or self._attend(layout):
                return

    def gather(self) -> bool:
        """Make a whole of what an earlier run split, if it did; whether it is one now: not if it is time to stop."""
        layout = self.parts.layout()
        if layout is None:
            return True
        with ExitStack() as held:
            for part in layout.parts:
                held.enter_context(alone(self.context, self.source.name, part))
                self._worker(part, layout, self.pace).prepare()
            cap = max(self.parts.instants(part)[1] for part in layout.parts)
            for part in layout.parts:
                if self.parts.instants(part) != (cap, cap):
                    self._worker(part, layout, self.pace.capped(cap)).run()
            if self.stop():
                return False
            self.parts.gather(layout)
        return True

    # ------------------------------------------------------------ inside

    def _ready(self, keyed: Keyed) -> Layout | None:
        """How it is split now: anew, if it was not, or not so, or a view has to begin; None if it is time to stop."""
        layout = self.parts.layout()
        if layout is not None and layout.workers == self.workers and not self._is_outdated(layout, keyed):
            return layout
        if not self.gather():
            return None
        Worker(self.context, self.source, self.stream, self.pace, self.stop, self.tell, reset=self.reset).prepare()
        self.pace, self.reset = replace(self.pace, reload=()), False
        return self.parts.spread(keyed, self.workers)

    def _worker(self, part: Part, layout: Layout, pace: Pace) -> Worker:
        """A worker of a part, in this process."""
        stream = PartStream(self.stream, part, layout.partitions, may_grow=True)
        return Worker(
            self.context,
            self.source,
            stream,
            pace,
            self.stop,
            self.tell,
            part=part,
            check=layout.keyed(self.source).check,
        )

    def _is_outdated(self, layout: Layout, keyed: Keyed) -> bool:
        """Whether the parts can't go on as they are: a view begins, or the topic is said to be keyed otherwise."""
        lanes = self.parts.noted_lanes(layout)
        wanted = {lane.view.name: lane.fingerprint for lane in empty_lanes(self.context, self.source)}
        if {lane.view.name: lane.fingerprint for lane in lanes} != wanted or self.pace.reload:
            return True
        return layout.keyed(self.source) != keyed or bool(changed(self.context, lanes))

    def _attend(self, layout: Layout) -> bool:
        """Let them run, and show how far they are; whether that was all, else a view has to begin anew."""
        lanes, heads = self.parts.noted_lanes(layout), Heads(self.context, self.source)
        with Hands(self.context, self.source, self.pace, layout, self.tell) as hands:
            while not self.stop() and hands.are_running():
                self._show(heads, lanes, hands)
                if changed(self.context, lanes):
                    return False
                hands.rest(self.stop)
        self._show(heads, lanes, hands)
        return True

    def _show(self, heads: Heads, lanes: Sequence[Lane], hands: Hands) -> None:
        try:
            if cut := hands.cut():
                heads.show(lanes, cut)
        except OnlineStoreError as error:  # the workers wait for it as well, and fail if it stays away
            self.tell(f"{error} Trying again.")
