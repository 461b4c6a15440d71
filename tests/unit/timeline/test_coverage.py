"""Coverage: the union of what was computed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.timeline.coverage import Coverage

INTERVALS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=6)


@given(INTERVALS)
def test_a_time_is_inside_if_some_interval_holds_it(intervals: list[tuple[int, int]]) -> None:
    coverage = Coverage.of(intervals)
    times = np.arange(-2, 24)
    wanted = [any(low <= time < high for low, high in intervals) for time in times]
    assert coverage.contains(times).tolist() == wanted
    assert [coverage.contains_instant(int(time)) for time in times] == wanted


@given(INTERVALS, st.integers(0, 20), st.integers(1, 5))
def test_overlap_and_cover(intervals: list[tuple[int, int]], start: int, length: int) -> None:
    coverage = Coverage.of(intervals)
    inside = coverage.contains(np.arange(start, start + length))
    assert coverage.overlaps(start, start + length) == bool(inside.any())
    assert coverage.covers(start, start + length) == bool(inside.all())


def test_nothing_is_covered_at_first() -> None:
    assert str(Coverage()) == "nothing"
    assert Coverage().frontier is None
