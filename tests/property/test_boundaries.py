"""No step is missing: values at the bounds of every row's windows, wherever the engine did put its steps."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import headrace as hr
from headrace.engines.base import Known
from headrace.testing import steps, steps_in_partitions
from tests.property.boundaries import boundaries, differences
from tests.property.oracle import Row, happened, versions
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


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_a_row_changes_nothing_before_it_is_known(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind).filter(bool), label="rows")
    # An entry inside of a log also decides which entry ends the one before it: only the last has no say in the past.
    place = len(given_rows) - 1 if kind == "change" else data.draw(st.integers(0, len(given_rows) - 1), label="place")
    without = steps(view, [*given_rows[:place], *given_rows[place + 1 :]])
    unaware = pl.col("valid_from").dt.epoch("us") < _first_effect(view, given_rows[place], kind)
    exact = [*view.entity_keys, "valid_from", "event_time", "rows", "last_x", "sum_n", "max_n", "kinds_s"]
    assert_frame_equal(steps(view, given_rows).filter(unaware).select(exact), without.filter(unaware).select(exact))


def _first_effect(view: hr.FeatureView, row: Row, kind: str) -> int:
    """When a row is known; for the source's rows that end others, that is when it ends them."""
    after = view.source.known_after_us
    if kind == "change":
        return int(row["_known"]) + after
    if kind == "snapshot":
        return happened(row["_snapshot"]) + after
    return max(max(v.t, v.a) for v in versions(view, [row], "then"))
