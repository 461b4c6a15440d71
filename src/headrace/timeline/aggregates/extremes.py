"""Minimum and maximum, of floats and of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.timeline.aggregates.base import Result
from headrace.timeline.arrays import Ints, Payload
from headrace.timeline.axis import Spans
from headrace.timeline.stabbing import running, stab


@dataclass(frozen=True, slots=True)
class Extreme:
    """The least value, or with ``greatest`` the greatest."""

    greatest: bool = False
    discriminators: tuple[str, ...] = ()

    def lift(self, values: NDArray[Any]) -> Payload:
        """Each row is its own extreme."""
        return {"value": values}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Keep the extreme."""
        return self.collect(elements, into, n)

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Merge extremes; a step without rows is told by the count, as any number may be a value."""
        count = running(spans, np.ones(len(spans.lo), dtype=np.int64))
        return Result(stab(self, spans, elements)["value"], count > 0)

    def collect(self, elements: Payload, into: Ints, n: int) -> Payload:
        """As of `Monoid`."""
        values = elements["value"]
        held = np.full(n, self._identity(values.dtype), dtype=values.dtype)
        (np.maximum if self.greatest else np.minimum).at(held, into, values)
        return {"value": held}

    def merge(self, one: Payload, other: Payload) -> Payload:
        """As of `Monoid`."""
        choose = np.maximum if self.greatest else np.minimum
        return {"value": choose(one["value"], other["value"])}

    def _identity(self, dtype: np.dtype[Any]) -> Any:
        if dtype.kind == "f":
            return -np.inf if self.greatest else np.inf
        return np.iinfo(dtype).min if self.greatest else np.iinfo(dtype).max
