"""Aggregates of floats: sum, mean, variance, standard deviation. None subtracts floats across history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.timeline.aggregates.base import Result
from headrace.timeline.arrays import Floats, Ints, Payload
from headrace.timeline.axis import Spans
from headrace.timeline.fixed_point import FixedPoint, fixed_point
from headrace.timeline.stabbing import running, stab


def added(into: Ints, values: Floats, n: int) -> Floats:
    """Add floats into `n` places; numpy would answer with whole numbers where there are none."""
    return np.bincount(into, weights=values, minlength=n).astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True)
class _Addition:
    def collect(self, elements: Payload, into: Ints, n: int) -> Payload:
        return {"sum": added(into, elements["sum"], n)}

    def merge(self, one: Payload, other: Payload) -> Payload:
        return {"sum": one["sum"] + other["sum"]}


@dataclass(frozen=True, slots=True)
class FloatSum:
    """The sum of floats, or their mean. The error is bounded by the window's own rows."""

    mean: bool = False
    discriminators: tuple[str, ...] = ()

    def lift(self, values: NDArray[Any]) -> Payload:
        """Each row is its own sum."""
        return {"n": np.ones(len(values), dtype=np.int64), "sum": values.astype(np.float64)}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Add."""
        count = np.zeros(n, dtype=np.int64)
        np.add.at(count, into, elements["n"])
        return {"n": count, **_Addition().collect(elements, into, n)}

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Sums by exact differences of whole numbers; merged, where the values lie too far apart for these."""
        count = running(spans, elements["n"])
        whole = fixed_point(elements["sum"], most=int(count.max(initial=0)))
        total = _running_sum(spans, whole) if whole else stab(_Addition(), spans, {"sum": elements["sum"]})["sum"]
        return Result(total / np.maximum(count, 1) if self.mean else total, count > 0)


def _running_sum(spans: Spans, values: FixedPoint) -> Floats:
    return FixedPoint(running(spans, values.high), running(spans, values.low), values.exponent).floats()


@dataclass(frozen=True, slots=True)
class _Moments:
    """(n, mean, M2) merged as by Chan, Golub and LeVeque (1979): M2 is a sum of squares, so never negative."""

    def collect(self, elements: Payload, into: Ints, n: int) -> Payload:
        count = added(into, elements["n"], n)
        total = added(into, elements["n"] * elements["mean"], n)
        mean = total / np.maximum(count, 1)
        apart = elements["mean"] - mean[into]
        spread = elements["m2"] + elements["n"] * apart * apart
        return {"n": count, "mean": mean, "m2": added(into, spread, n)}

    def merge(self, one: Payload, other: Payload) -> Payload:
        count = one["n"] + other["n"]
        share = other["n"] / np.maximum(count, 1)
        apart = other["mean"] - one["mean"]
        mean = np.where(one["n"] == 0, other["mean"], one["mean"] + apart * share)
        return {"n": count, "mean": mean, "m2": one["m2"] + other["m2"] + apart * apart * one["n"] * share}


@dataclass(frozen=True, slots=True)
class Variance:
    """The variance with divisor ``n - ddof``, or its square root; null unless n > ddof."""

    ddof: int = 1
    root: bool = False
    discriminators: tuple[str, ...] = ()

    def lift(self, values: NDArray[Any]) -> Payload:
        """Each row is its own mean, with nothing around it."""
        floats = values.astype(np.float64)
        return {"n": np.ones(len(floats)), "mean": floats, "m2": np.zeros(len(floats))}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Merge moments."""
        return _Moments().collect(elements, into, n)

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Merge moments, then divide."""
        merged = stab(_Moments(), spans, elements)
        variance = merged["m2"] / np.maximum(merged["n"] - self.ddof, 1)
        return Result(np.sqrt(variance) if self.root else variance, merged["n"] > self.ddof)
