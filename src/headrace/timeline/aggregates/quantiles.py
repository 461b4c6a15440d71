"""Quantiles with a stated relative error, by DDSketch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.timeline.aggregates.base import Result
from headrace.timeline.arrays import Floats, Ints, Payload
from headrace.timeline.axis import Spans
from headrace.timeline.stabbing import running

_SMALLEST = 1e-300
_ZERO = 0


@dataclass(frozen=True, slots=True)
class Quantile:
    """The value of rank ``floor(q * (n - 1))``, within `error` of it, relatively.

    Values fall into buckets whose bounds grow by ``(1 + error) / (1 - error)``, on either side of
    zero; a bucket answers with its midpoint. Buckets depend on the set of values alone and merge by
    adding counts. Masson, Rim and Lee, *DDSketch* (2019).
    """

    q: float
    error: float = 0.01
    discriminators: tuple[str, ...] = ("bucket",)

    def lift(self, values: NDArray[Any]) -> Payload:
        """Each row counts one in its bucket."""
        floats = values.astype(np.float64)
        return {"bucket": self._bucket(floats), "n": np.ones(len(floats), dtype=np.int64)}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Add the counts of a bucket."""
        count = np.zeros(n, dtype=np.int64)
        np.add.at(count, into, elements["n"])
        return {"n": count}

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Find, for all steps at once, the bucket that holds the rank."""
        n = running(spans, elements["n"])
        rank = np.floor(self.q * np.maximum(n - 1, 0)).astype(np.int64)
        buckets, codes = np.unique(elements["bucket"], return_inverse=True)
        if not len(buckets):
            return Result(np.zeros(spans.n_steps), n > 0)
        found = _select(spans, codes, elements["n"], rank, len(buckets))
        return Result(self._midpoint(buckets[np.minimum(found, len(buckets) - 1)]), n > 0)

    @property
    def _log_base(self) -> float:
        return float(np.log1p(2 * self.error / (1 - self.error)))

    @property
    def _shift(self) -> int:
        return int(np.ceil(-np.log(_SMALLEST) / self._log_base)) + 2

    def _bucket(self, values: Floats) -> Ints:
        """A bucket's number has the sign of its values, and 0 holds those nearest to zero."""
        size = np.abs(values)
        index = np.ceil(np.log(np.maximum(size, _SMALLEST)) / self._log_base).astype(np.int64) + self._shift
        return np.where(size < _SMALLEST, _ZERO, np.where(values < 0, -index, index))

    def _midpoint(self, buckets: Ints) -> Floats:
        exponent = (np.abs(buckets) - self._shift) * self._log_base
        middle = np.exp(exponent + np.log(2 / (1 + np.exp(self._log_base))))
        return np.where(buckets == _ZERO, 0.0, np.sign(buckets) * middle)


def _select(spans: Spans, codes: Ints, weights: Ints, rank: Ints, n_codes: int) -> Ints:
    """The code of the element of a rank at each step, decided bit by bit from the highest.

    At each bit, a step asks how many of its elements lie in the lower half of the codes that are still
    possible: those begun by then less those ended, in an array sorted by (half, step).
    """
    bits = max(int(n_codes - 1).bit_length(), 1)
    found, left = np.zeros(spans.n_steps, dtype=np.int64), rank.copy()
    steps = np.arange(spans.n_steps)
    for bit in reversed(range(bits)):
        node, lower = codes >> bit, found << 1
        held = _held(node, spans.lo, weights, lower, steps, spans.n_steps)
        held -= _held(node, spans.hi, weights, lower, steps, spans.n_steps)
        above = left >= held
        left, found = np.where(above, left - held, left), lower + above
    return found


def _held(node: Ints, place: Ints, weights: Ints, wanted: Ints, steps: Ints, n_steps: int) -> Ints:
    """The weight of a node at places up to each step."""
    keys = node * (n_steps + 1) + place
    order = np.argsort(keys, kind="stable")
    total: Ints = np.concatenate([[0], np.cumsum(weights[order])])
    first = np.searchsorted(keys[order], wanted * (n_steps + 1))
    last = np.searchsorted(keys[order], wanted * (n_steps + 1) + steps, side="right")
    return total[last] - total[first]
