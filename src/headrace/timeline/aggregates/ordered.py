"""Aggregates that pick rows by their order: last, first, last_n.

They answer with the rank of a row: its place in the order (t, a, sequence, id), ranks of later
entities being greater. The engine looks its value up, of whatever type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.timeline.aggregates.extremes import Extreme
from headrace.timeline.arrays import Ints, Payload
from headrace.timeline.axis import Spans
from headrace.timeline.stabbing import stab

NONE = -1


def greatest_rank(spans: Spans, ranks: Ints) -> Ints:
    """The greatest rank that holds at each step, `NONE` where none does. `ranks` ascend."""
    seen = spans.lo < spans.hi
    if not seen.all():
        spans, ranks = spans.take(seen), ranks[seen]
    if len(ranks) and _never_end(spans):
        return _running_maximum(spans, ranks)
    held = stab(Extreme(greatest=True), spans, {"value": ranks})["value"]
    return np.maximum(held, NONE)


def least_rank(spans: Spans, ranks: Ints) -> Ints:
    """The least rank that holds at each step, `NONE` where none does."""
    top = int(ranks.max(initial=0))
    mirrored = stab(Extreme(greatest=True), spans, {"value": top - ranks})["value"]
    return np.where(mirrored < 0, NONE, top - mirrored)


def greatest_ranks(spans: Spans, ranks: Ints, n: int) -> Ints:
    """The `n` greatest ranks that hold at each step, descending, shape (n_steps, n), padded with `NONE`."""
    held = stab(_Top(n), spans, {f"top{i}": ranks if i == 0 else np.full(len(ranks), NONE) for i in range(n)})
    return np.column_stack([held[f"top{i}"] for i in range(n)])


def _never_end(spans: Spans) -> bool:
    """Whether no span ends while one of lower rank goes on: then the newest begun is the newest held."""
    return bool(np.all((spans.hi[:-1] == spans.hi[1:]) | (spans.hi[:-1] <= spans.lo[1:])))


def _running_maximum(spans: Spans, ranks: Ints) -> Ints:
    newest = np.full(spans.n_steps + 1, NONE, dtype=np.int64)
    np.maximum.at(newest, spans.lo, np.arange(len(ranks)))
    newest = np.maximum.accumulate(newest[:-1])
    holds = (newest >= 0) & (spans.hi[newest] > np.arange(spans.n_steps))
    return np.where(holds, ranks[newest], NONE)


@dataclass(frozen=True, slots=True)
class _Top:
    """The monoid of the n greatest, as n columns in descending order."""

    n: int

    def collect(self, elements: Payload, into: Ints, n: int) -> Payload:
        stacked = np.concatenate([elements[f"top{i}"] for i in range(self.n)])
        places = np.tile(into, self.n)
        real = stacked != NONE
        stacked, places = stacked[real], places[real]
        order = np.lexsort((-stacked, places))
        stacked, places = stacked[order], places[order]
        nth = np.arange(len(places)) - np.searchsorted(places, places)
        held = {f"top{i}": np.full(n, NONE, dtype=np.int64) for i in range(self.n)}
        for i in range(self.n):
            chosen = nth == i
            held[f"top{i}"][places[chosen]] = stacked[chosen]
        return held

    def merge(self, one: Payload, other: Payload) -> Payload:
        both = np.column_stack([side[f"top{i}"] for side in (one, other) for i in range(self.n)])
        both = -np.sort(-both, axis=1)
        return {f"top{i}": both[:, i] for i in range(self.n)}
