"""No step is missing: values at the bounds of every row's windows, wherever the engine did put its steps."""

from __future__ import annotations

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from headrace.engines.base import Known
from headrace.testing import steps, steps_in_partitions
from tests.property.boundaries import boundaries, differences
from tests.property.strategies import KINDS, WINDOWS, rows, views

CASES = [(window, kind) for window in WINDOWS for kind in KINDS]
SAMPLED = 25
"""Times looked at in an example: enough over many examples, and the oracle is slow."""


def _some(data: st.DataObject, times: list[int]) -> list[int]:
    """A sample of times, and any at all."""
    anywhere = data.draw(st.lists(st.integers(-(2**50), 2**50), max_size=3), label="anywhere")
    if len(times) <= SAMPLED:
        return [*times, *anywhere]
    random = data.draw(st.randoms(use_true_random=False), label="random")
    return [*random.sample(times, SAMPLED), *anywhere]


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_values_at_the_bounds_of_windows(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    known: Known = data.draw(st.sampled_from(["then", "then", "now"]), label="known")
    found = steps(view, given_rows, known=known)
    note(str(found.select("valid_from", "event_time")))
    assert not differences(view, given_rows, found, _some(data, boundaries(view, given_rows, known)), known)


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_values_at_the_bounds_of_windows_span_by_span(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    times = boundaries(view, given_rows, "then")
    cuts = data.draw(st.lists(st.sampled_from(times), max_size=4, unique=True), label="cuts") if times else []
    found = steps_in_partitions(view, given_rows, sorted(cuts))
    assert not differences(view, given_rows, found, _some(data, times))
