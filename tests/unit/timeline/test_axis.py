"""The axis of steps, also where entities and times are too many for one number."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.timeline.axis import Intervals, laid_out


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize("until", [100, 2**61])
def test_steps_are_where_intervals_begin_or_end(until: int) -> None:
    one = Intervals(ints(0, 0, 5), ints(10, 20, 10), ints(20, 2**62, 15))
    axis, (spans,) = laid_out([one], ints(), 6, 0, until)
    assert list(zip(axis.group.tolist(), axis.time.tolist(), strict=True)) == [(0, 10), (0, 20), (5, 10), (5, 15)]
    assert spans.lo.tolist() == [0, 1, 2]
    assert spans.hi.tolist() == [1, 2, 3]


def test_bounds_outside_of_the_span_make_no_step() -> None:
    axis, (spans,) = laid_out([Intervals(ints(0, 0, 0), ints(-5, 3, 50), ints(4, 3, 60))], ints(0), 1, 0, 40)
    assert axis.time.tolist() == [0, 3, 4]
    assert (spans.lo.tolist(), spans.hi.tolist()) == ([0, 1, 3], [2, 1, 3])


def test_nothing_at_all() -> None:
    axis, (spans,) = laid_out([Intervals(ints(), ints(), ints())], ints(), 0, 0, 10)
    assert (len(axis), len(spans.lo)) == (0, 0)
