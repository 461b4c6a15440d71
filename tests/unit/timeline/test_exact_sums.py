"""Sums of whole numbers: exact to the last one that fits, and refused beyond."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.errors import OverflowRefusedError
from headrace.timeline.aggregates.counting import ExactSum
from headrace.timeline.axis import Spans

LARGEST = 2**63 - 1


def total(*values: int) -> int:
    n = len(values)
    spans = Spans(np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64), 1)
    aggregate = ExactSum()
    return int(aggregate.evaluate(spans, aggregate.lift(np.array(values, dtype=np.int64))).values[0])


@pytest.mark.parametrize("values", [(LARGEST,), (-LARGEST, -1), (2**62, 2**62 - 1), (LARGEST, 5, -5)])
def test_what_fits_is_exact(values: tuple[int, ...]) -> None:
    assert total(*values) == sum(values)


@pytest.mark.parametrize("values", [(LARGEST, 1), (-LARGEST, -2), (2**62, 2**62)])
def test_what_does_not_fit_is_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(OverflowRefusedError, match=str(sum(values))):
        total(*values)
