"""Reading a stream epoch by epoch: how long an epoch gathers, when to wait, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from headrace.connectors.streams import Bounds
from headrace.definitions.locations import Files, Location
from headrace.errors import AgedOutError, UnreachableError
from headrace.platform.stream_landing import Taken

if TYPE_CHECKING:
    import polars as pl

    from headrace.connectors.streams import Stream

T = TypeVar("T")

EPOCH_SECONDS: Final = 5.0
MOST_ROWS: Final = 1_000_000
_MOST_BYTES: Final = 256 * 1024 * 1024
_FIRST_ROWS: Final = 20_000  # how long a record is, is known after some
_WAIT_SECONDS: Final = 0.5
_GATHER_SECONDS: Final = 2.0  # for an epoch, where there are more records than it can have
_RETRY_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is followed.

    Parameters
    ----------
    until_idle : bool
        Stop once all that was there at the start is read.
    reset : bool
        Begin with the oldest record that is kept, where the next one is gone.
    epoch_seconds : float
        How long to gather records, where there are no more waiting.
    most_rows : int
        How many records an epoch has at most.
    stop : callable
        Asked between epochs and while waiting.
    tell : callable
        Told what people should know.
    """

    until_idle: bool
    reset: bool
    epoch_seconds: float
    most_rows: int
    stop: Callable[[], bool]
    tell: Callable[[str], None]


class Tail:
    """Reads on from the positions that were landed.

    Parameters
    ----------
    stream : Stream
        What is read.
    location : Location
        Where it is, as the source says.
    pace : Pace
        How.
    """

    def __init__(self, stream: Stream, location: Location, pace: Pace) -> None:
        self._stream = stream
        self._location = location
        self._pace = pace
        self._heads: dict[str, int] = {}
        self._most_rows = min(_FIRST_ROWS, pace.most_rows)
        self._is_waiting = False

    def epochs(self, positions: Mapping[str, int]) -> Iterator[Taken]:
        """The records from some positions on, until it is time to stop; each is landed before the next is asked for.

        Raises
        ------
        AgedOutError
            If the next record of a partition is not kept any more.
        StreamError
            If the log can't be read for another reason than that it is out of reach for the moment.
        """
        goal: dict[str, int] | None = None
        reset = self._pace.reset
        while not self._pace.stop():
            began = time.monotonic()
            taken = self._patiently(partial(self._taken, positions, goal, reset=reset))
            goal = goal if goal is not None else dict(self._heads)
            if taken is None:
                return
            if taken.moved(positions):
                yield taken
                positions, reset = {**positions, **taken.ends}, False
                self._fit(taken.frame)
            if not self._pace.until_idle and taken.frame.height and not taken.behind:
                self._rest(began + self._pace.epoch_seconds)

    def _taken(self, known: Mapping[str, int], goal: Mapping[str, int] | None, *, reset: bool) -> Taken | None:
        """What can be read now; None if the goal is reached."""
        bounds = self._stream.bounds()
        starts = self._starts(known, bounds, reset=reset)
        goal = self._heads if goal is None else goal
        is_cut = any(starts[name] > found.head for name, found in bounds.items())  # to be read, it says what is wrong
        if self._pace.until_idle and not is_cut and all(starts.get(name, end) >= end for name, end in goal.items()):
            ends = Taken(_nothing(), starts, starts)
            return ends if ends.moved(known) else None
        is_behind = any(found.head > starts[name] for name, found in bounds.items())
        try:
            received = self._stream.poll(starts, self._most_rows, _GATHER_SECONDS if is_behind else _WAIT_SECONDS)
        except AgedOutError:
            if self._is_missing(starts):
                raise
            return Taken(_nothing(), starts, dict(known))  # files went meanwhile that had been read
        behind = sum(max(0, self._heads.get(name, end) - end) for name, end in received.ends.items())
        return Taken(received.frame, starts, received.ends, behind)

    def _starts(self, known: Mapping[str, int], bounds: Mapping[str, Bounds], *, reset: bool) -> dict[str, int]:
        """Where to read on in each partition: a new one from its beginning."""
        starts = {name: known.get(name, found.earliest) for name, found in bounds.items()}
        if reset:
            kept = {name: found for name, found in bounds.items() if found.earliest <= starts[name] <= found.head}
            starts = {name: at if name in kept else bounds[name].earliest for name, at in starts.items()}
        else:
            starts |= {name: at for name, at in known.items() if name not in bounds and self._is_missed(name, at)}
        self._heads |= {name: found.head for name, found in bounds.items()}
        return starts

    def _is_missing(self, starts: Mapping[str, int]) -> bool:
        """Whether what is wrong is not only that partitions went that were read."""
        gone = starts.keys() - self._stream.bounds().keys()
        return not gone or any(self._is_missed(name, starts[name]) for name in gone)

    def _is_missed(self, name: str, position: int) -> bool:
        """Whether a partition that is gone should be there: asking for it says what is wrong.

        A file may go once it was read; whether it was is known if its end was seen. A topic's partitions stay.
        """
        if isinstance(self._location, Files):
            return self._heads.get(name, position) > position
        return name.rpartition("/")[0] == self._location.topic

    def _patiently(self, ask: Callable[[], T]) -> T | None:
        """Ask, again and again while the log is out of reach; None if it is time to stop."""
        while not self._pace.stop():
            try:
                answer = ask()
            except UnreachableError as error:
                if self._pace.until_idle:
                    raise
                if not self._is_waiting:
                    self._pace.tell(f"{error} Waiting for it.")
                self._is_waiting = True
                self._rest(time.monotonic() + _RETRY_SECONDS)
            else:
                if self._is_waiting:
                    self._pace.tell(f"{self._stream.location} is there again: going on.")
                self._is_waiting = False
                return answer
        return None

    def _fit(self, frame: pl.DataFrame) -> None:
        """Let the next epoch have as many records as memory is meant for, by the length of these."""
        if frame.height:
            fitting = int(_MOST_BYTES * frame.height / max(1, frame.estimated_size()))
            self._most_rows = max(1, min(self._pace.most_rows, fitting))

    def _rest(self, until: float) -> None:
        while time.monotonic() < until and not self._pace.stop():
            time.sleep(min(_PAUSE_SECONDS, max(0.0, until - time.monotonic())))


def _nothing() -> pl.DataFrame:
    import polars as pl

    from headrace.connectors.streams import RECEIVED

    return pl.DataFrame(schema=RECEIVED)
