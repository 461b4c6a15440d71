"""Which contributions hold at each step: merged without ever subtracting.

A contribution covers a range of steps. Each range is the union of few aligned blocks of 1, 2, 4, …
steps (a segment tree): the contribution is merged into those blocks, and each step then merges
the blocks that hold it, level by level. So the value of a step is a merge of exactly its own
rows: an outlier leaves with its window, a variance can't be negative, and min and max work like
sums. O(rows * log(steps in a window)) array operations.

The decomposition is that of the iterative segment tree (de Berg et al., *Computational Geometry*,
3rd ed., section 10.3), done for all ranges at once.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from headrace.timeline.arrays import Ints, Payload
from headrace.timeline.axis import Spans


class Monoid(Protocol):
    """How elements merge: associative, commutative, with an identity."""

    def collect(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Merge elements into `n` places; ``into[i]`` is the place of element i."""
        ...

    def merge(self, one: Payload, other: Payload) -> Payload:
        """Merge two equally long sets of elements, place by place."""
        ...


def stab(monoid: Monoid, spans: Spans, elements: Payload) -> Payload:
    """Merge, for each step, the elements whose spans hold it.

    Parameters
    ----------
    monoid : Monoid
        How elements merge.
    spans : Spans
        Which steps each element covers.
    elements : Payload
        One element a span.

    Returns
    -------
    Payload
        One element a step; the identity where no span holds it.
    """
    levels: list[Payload] = []
    lo, hi, index, n = spans.lo, spans.hi, np.arange(len(spans.lo)), spans.n_steps
    while True:
        alive = lo < hi
        if not alive.all():
            lo, hi, index = lo[alive], hi[alive], index[alive]
        if not len(index) and levels:
            break
        left, right = (lo & 1).astype(bool), (hi & 1).astype(bool)
        node = np.concatenate([lo[left], hi[right] - 1])
        chosen = np.concatenate([index[left], index[right]])
        levels.append(monoid.collect({name: column[chosen] for name, column in elements.items()}, node, n))
        lo, hi, n = (lo + 1) >> 1, hi >> 1, (n + 1) >> 1
    return _push_down(monoid, levels)


def _push_down(monoid: Monoid, levels: list[Payload]) -> Payload:
    """Merge each block into the two halves below it, down to single steps."""
    held = levels.pop()
    while levels:
        level = levels.pop()
        n = len(next(iter(level.values())))
        held = monoid.merge(level, {name: np.repeat(column, 2)[:n] for name, column in held.items()})
    return held


def running(spans: Spans, weights: Ints) -> Ints:
    """The sum of the weights that hold at each step, for whole numbers: exact, by differences.

    Wraps around modulo 2**64 inside, so only the result must fit.
    """
    change = np.zeros(spans.n_steps + 1, dtype=np.int64)
    np.add.at(change, spans.lo, weights)
    np.subtract.at(change, spans.hi, weights)
    return np.cumsum(change[:-1])
