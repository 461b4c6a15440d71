"""How a stream runs, and which part of it a worker is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from headrace.errors import StateError


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream runs.

    Parameters
    ----------
    epoch_seconds : float
        How long an epoch gathers, where no more is waiting.
    most_rows : int
        How many records an epoch has at most. Where more are waiting it gathers so many, for seconds if need be: each
        entity is written once an epoch, so large ones cost less.
    idle_seconds : float
        After how long without records a partition that is read to its end is not waited for.
    snapshot_seconds : float
        How often what is remembered is saved: after a crash so much is read again.
    every_step : bool
        Whether each step is written into the lake too. To topics it is where the setting ``stream_sinks`` says so.
    until_idle : bool
        Stop once all that was there is read.
    patience_seconds : float
        For how long a sink that is away is tried again.
    reload : tuple of str
        Views that are to begin again with what is published of them.
    sweep_seconds : float
        How often entities are forgotten whose records have expired.
    cap : int
        The last instant that may be reached, in microseconds: stop there; 0 for none.
    """

    epoch_seconds: float = 1.0
    most_rows: int = 1_000_000
    idle_seconds: float = 10.0
    snapshot_seconds: float = 15.0
    every_step: bool = False
    until_idle: bool = False
    patience_seconds: float = 600.0
    reload: tuple[str, ...] = ()
    sweep_seconds: float = 600.0
    cap: int = 0

    def capped(self, cap: int) -> Pace:
        """The same, until all is read through an instant, and not beyond it."""
        return replace(self, epoch_seconds=0.0, cap=cap)


class MisplacedError(StateError):
    """Rows of an entity are in a partition that is not its own, and may be another worker's."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a source's partitions a worker reads.

    Parameters
    ----------
    number, count : int
        Which of how many, from 0.
    """

    number: int = 0
    count: int = 1

    @property
    def is_all(self) -> bool:
        """Whether it is all of them."""
        return self.count == 1

    @property
    def writer(self) -> int:
        """By what sinks tell workers apart: 0 stands for the one that writes everything."""
        return 0 if self.is_all else self.number + 1


WHOLE: Final = Part()
