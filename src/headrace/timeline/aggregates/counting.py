"""Exact aggregates of whole numbers: count, sum and mean of integers and decimals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import OverflowRefusedError
from headrace.timeline.aggregates.base import Result
from headrace.timeline.arrays import Ints, Payload
from headrace.timeline.axis import Spans
from headrace.timeline.stabbing import running

_LIMB_BITS = 32
_LIMB = 2**_LIMB_BITS


def _collected(elements: Payload, into: Ints, n: int) -> Payload:
    merged = {}
    for name, column in elements.items():
        merged[name] = np.zeros(n, dtype=np.int64)
        np.add.at(merged[name], into, column)
    return merged


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows; 0 where there is none."""

    discriminators: tuple[str, ...] = ()

    def lift(self, values: NDArray[Any]) -> Payload:
        """Each row counts one."""
        return {"n": np.ones(len(values), dtype=np.int64)}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Add."""
        return _collected(elements, into, n)

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Add what begins, take away what ends."""
        counts = running(spans, elements["n"])
        return Result(counts, np.ones(len(counts), dtype=bool))


@dataclass(frozen=True, slots=True)
class ExactSum:
    """The sum of whole numbers, or their mean.

    Numbers are kept as two limbs, ``high * 2**32 + low``: neither sum of limbs can overflow for
    fewer than 2**31 rows, so an overflow of the whole is seen and not wrapped.
    """

    mean: bool = False
    discriminators: tuple[str, ...] = ()

    def lift(self, values: NDArray[Any]) -> Payload:
        """Split into limbs."""
        whole = values.astype(np.int64)
        return {"n": np.ones(len(whole), dtype=np.int64), "high": whole >> _LIMB_BITS, "low": whole & (_LIMB - 1)}

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Add limb by limb, carrying the excess."""
        return _carried(_collected(elements, into, n))

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """Add what begins, take away what ends, limb by limb."""
        sums = _carried({name: running(spans, column) for name, column in elements.items()})
        count, high, low = sums["n"], sums["high"], sums["low"]
        if self.mean:
            total = high.astype(np.float64) * _LIMB + low
            return Result(total / np.maximum(count, 1), count > 0)
        if np.any((high < -(2**31)) | (high >= 2**31)):
            worst = int(np.argmax(np.abs(high)))
            raise OverflowRefusedError(
                f"a sum of whole numbers is {int(high[worst]) * _LIMB + int(low[worst])}: too large for 64 bits. "
                "Sum a Float64 column instead, or a smaller window."
            )
        return Result((high << _LIMB_BITS) | low, count > 0)


def _carried(sums: Payload) -> Payload:
    return {
        "n": sums["n"],
        "high": sums["high"] + (sums["low"] >> _LIMB_BITS),
        "low": sums["low"] & (_LIMB - 1),
    }
