"""The axis of steps: every instant at which some feature of some entity may change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.timeline.arrays import Bools, Ints

_ROOM = 2**62


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
    """The steps of many entities within ``[since, until)``, by entity and time.

    Build it with `StepAxis.of`. An entity is a group: a number from 0.

    Parameters
    ----------
    group, time : int64 arrays, shape (n_steps,)
        Sorted by (group, time), without duplicates.
    """

    group: Ints
    time: Ints
    since: int
    until: int
    keys: Ints
    ranks: Ints | None

    @classmethod
    def of(cls, groups: list[Ints], times: list[Ints], n_groups: int, since: int, until: int) -> StepAxis:
        """Merge candidate instants; those outside of ``[since, until)`` are left out.

        Parameters
        ----------
        groups, times : lists of int64 arrays
            Pairs of equally long arrays.
        n_groups : int
            How many entities there are.
        """
        inside = [(t >= since) & (t < until) for t in times]
        pairs = [(g, t) if m.all() else (g[m], t[m]) for g, t, m in zip(groups, times, inside, strict=True)]
        roomy = n_groups < _ROOM // max(until - since + 1, 1)
        ranks = None if roomy else np.unique(np.concatenate([t for _, t in pairs]))
        # Each run is nearly sorted, and a stable sort (timsort) merges runs instead of starting over.
        runs = [_without_repeats(_keys(g, t, since, until, ranks)) for g, t in pairs]
        keys = _without_repeats(np.sort(np.concatenate(runs), kind="stable"))
        span = (until - since + 1) if ranks is None else len(ranks) + 1
        group = keys // span
        offset = keys - group * span
        return cls(group, since + offset if ranks is None else ranks[offset], since, until, keys, ranks)

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.keys)

    def position(self, group: Ints, time: Ints) -> Ints:
        """The index of each entity's first step at or after a time."""
        clipped = np.clip(time, self.since, self.until)
        return np.searchsorted(self.keys, _keys(group, clipped, self.since, self.until, self.ranks))

    def spans(self, group: Ints, start: Ints, end: Ints) -> Spans:
        """Which steps each interval ``[start, end)`` covers."""
        lo = self.position(group, start)
        return Spans(lo, np.maximum(self.position(group, end), lo), len(self))


def _without_repeats(values: Ints) -> Ints:
    """Leave out each value that equals the one before it."""
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _keys(group: Ints, time: Ints, since: int, until: int, ranks: Ints | None) -> Ints:
    """One number for each (group, time), in the same order: a search of one array instead of two."""
    if ranks is None:
        return group * (until - since + 1) + (time - since)
    return group * (len(ranks) + 1) + np.searchsorted(ranks, time)
