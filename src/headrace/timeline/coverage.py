"""For which times a view is complete: the union of what was computed, less what the source lacks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from headrace.timeline.arrays import Bools, Ints
from headrace.types import instant_text


@dataclass(frozen=True, slots=True)
class Coverage:
    """Disjoint intervals ``[start, end)`` of times, ascending, in microseconds.

    Examples
    --------
    >>> Coverage.of([(0, 5), (9, 12), (5, 7)]).intervals
    ((0, 7), (9, 12))
    """

    intervals: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[tuple[int, int]]) -> Coverage:
        """Unite intervals that touch or overlap."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(i for i in intervals if i[0] < i[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((start, end))
        return cls(tuple(merged))

    @property
    def frontier(self) -> int | None:
        """The end of the last interval: everything known before it has been computed."""
        return self.intervals[-1][1] if self.intervals else None

    def from_time(self, start: int) -> Coverage:
        """The part that does not lie before `start`."""
        return Coverage.of((max(start, low), high) for low, high in self.intervals)

    def contains(self, times: Ints) -> Bools:
        """Which times lie inside."""
        starts = np.array([low for low, _ in self.intervals], dtype=np.int64)
        ends = np.array([high for _, high in self.intervals], dtype=np.int64)
        place = np.searchsorted(starts, times, side="right") - 1
        return (place >= 0) & (times < np.append(ends, 0)[place])

    def covers(self, start: int, end: int) -> bool:
        """Whether the whole of ``[start, end)`` lies inside."""
        return any(low <= start and end <= high for low, high in self.intervals)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether any of ``[start, end)`` lies inside."""
        return any(low < end and start < high for low, high in self.intervals)

    def contains_instant(self, time: int) -> bool:
        """Whether one time lies inside."""
        return any(low <= time < high for low, high in self.intervals)

    def __str__(self) -> str:
        """As people read it."""
        return ", ".join(f"{instant_text(a)} to {instant_text(b)}" for a, b in self.intervals) or "nothing"
