"""The axis of steps: every instant at which some feature of some entity may change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.timeline.arrays import Bools, Ints

_ROOM = 2**62
_SAMPLES = 16


@dataclass(frozen=True, slots=True)
class Intervals:
    """When contributions count: each in ``[start, end)``.

    Parameters
    ----------
    group : int64 array, shape (n_contributions,)
        The entity of each: a number from 0.
    start, end : int64 arrays, shape (n_contributions,)
        In microseconds, ``start <= end``.
    """

    group: Ints
    start: Ints
    end: Ints

    def take(self, chosen: Bools | Ints) -> Intervals:
        """Those of some of the contributions."""
        return Intervals(self.group[chosen], self.start[chosen], self.end[chosen])


@dataclass(frozen=True, slots=True)
class Spans:
    """Where contributions lie on the axis: each counts in the steps ``lo <= i < hi``.

    Parameters
    ----------
    lo, hi : int64 arrays, shape (n_contributions,)
        Indices of steps; all of a span's steps are of one entity.
    n_steps : int
        The length of the axis.
    """

    lo: Ints
    hi: Ints
    n_steps: int

    def take(self, chosen: Bools | Ints) -> Spans:
        """The spans of some of the contributions."""
        return Spans(self.lo[chosen], self.hi[chosen], self.n_steps)


@dataclass(frozen=True, slots=True)
class StepAxis:
    """The steps of many entities, by entity and time.

    Parameters
    ----------
    group, time : int64 arrays, shape (n_steps,)
        Sorted by (group, time), without duplicates.
    """

    group: Ints
    time: Ints

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.group)


def laid_out(
    intervals: Sequence[Intervals], opening: Ints, n_groups: int, since: int, until: int
) -> tuple[StepAxis, list[Spans]]:
    """Lay intervals on an axis that has a step wherever one of them begins or ends.

    Parameters
    ----------
    intervals : sequence of Intervals
        Bounds outside of ``[since, until)`` make no step.
    opening : int64 array
        Entities that get a step at `since` besides.
    n_groups : int
        How many entities there are.
    since, until : int
        Where the axis begins and ends, in microseconds.

    Returns
    -------
    axis : StepAxis
        The steps.
    spans : list of Spans
        For each of `intervals`, where it lies.

    Notes
    -----
    Bounds stand in the order of rows, so each array of them is a sorted run, or nearly one. A stable sort
    (timsort) merges runs, and where each bound went is its position: nothing is searched.
    """
    bounds = _Bounds(since, until)
    places = [(bounds.add(i.group, i.start), bounds.add(i.group, i.end)) for i in intervals]
    bounds.add(opening, np.full(len(opening), since))
    axis, positions = bounds.merged(n_groups)
    return axis, [Spans(positions[start], positions[end], len(axis)) for start, end in places]


class _Bounds:
    """Arrays of (entity, time), each kept once however many features share it."""

    def __init__(self, since: int, until: int) -> None:
        self.since, self.until = since, until
        self.runs: list[tuple[Ints, Ints]] = []

    def add(self, group: Ints, time: Ints) -> int:
        """The number of the run; that of an equal one, if there is one."""
        for number, (other_group, other_time) in enumerate(self.runs):
            if _equal(time, other_time) and _equal(group, other_group):
                return number
        self.runs.append((group, time))
        return len(self.runs) - 1

    def merged(self, n_groups: int) -> tuple[StepAxis, list[Ints]]:
        """The axis, and for each run the index of its entity's first step at or after each time."""
        inside = [(time >= self.since) & (time < self.until) for _, time in self.runs]
        kept = [(g, t) if i.all() else (g[i], t[i]) for (g, t), i in zip(self.runs, inside, strict=True)]
        code = _Code.of([time for _, time in kept], n_groups)
        keys, positions = _merged([code.keys(group, time) for group, time in kept])
        axis = code.axis(keys)
        first = np.searchsorted(axis.group, np.arange(n_groups + 1))
        return axis, [
            position if i.all() else self._with_outside(run, i, position, first)
            for run, i, position in zip(self.runs, inside, positions, strict=True)
        ]

    def _with_outside(self, run: tuple[Ints, Ints], inside: Bools, position: Ints, first: Ints) -> Ints:
        """What lies before the axis is at its entity's first step, what lies after it behind its last one."""
        group, time = run
        whole = first[group + (time >= self.until)]
        whole[inside] = position
        return whole


@dataclass(frozen=True, slots=True)
class _Code:
    """(entity, time) as one number, in the same order: what is sorted is one array instead of two."""

    least: int
    width: int
    ranks: Ints | None

    @classmethod
    def of(cls, times: list[Ints], n_groups: int) -> _Code:
        """A code for these times; by their ranks, where they lie too far apart for their differences."""
        filled = [time for time in times if len(time)]
        least = min((int(time.min()) for time in filled), default=0)
        width = max((int(time.max()) for time in filled), default=0) - least + 1
        if n_groups < _ROOM // width:
            return cls(least, width, None)
        ranks = np.unique(np.concatenate(filled))
        return cls(least, len(ranks), ranks)

    def keys(self, group: Ints, time: Ints) -> Ints:
        """Code."""
        return group * self.width + (time - self.least if self.ranks is None else np.searchsorted(self.ranks, time))

    def axis(self, keys: Ints) -> StepAxis:
        """Decode."""
        group = keys // self.width
        offset = keys - group * self.width
        return StepAxis(group, self.least + offset if self.ranks is None else self.ranks[offset])


def _merged(runs: list[Ints]) -> tuple[Ints, list[Ints]]:
    """The sorted different values of all runs, and the place of each run's values among them."""
    fresh = [_changes(run) for run in runs]
    shortened = [run[f] for run, f in zip(runs, fresh, strict=True)]
    joined = np.concatenate(shortened)
    order = np.argsort(joined, kind="stable")
    values = joined[order]
    different = _changes(values)
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.cumsum(different) - 1
    cuts = np.cumsum([len(run) for run in shortened])[:-1]
    parts = np.split(place, cuts)
    return values[different], [part[np.cumsum(f) - 1] for part, f in zip(parts, fresh, strict=True)]


def _changes(values: Ints) -> Bools:
    """Which values differ from the one before them."""
    changes = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def _equal(one: Ints, other: Ints) -> bool:
    """Whether two arrays are equal: by a glance at a few values first, as most pairs are not."""
    if one is other:
        return True
    if len(one) != len(other):
        return False
    stride = len(one) // _SAMPLES + 1
    return np.array_equal(one[::stride], other[::stride]) and np.array_equal(one, other)
