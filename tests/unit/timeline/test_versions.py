"""Ends of versions: when the first entry behind them in the log was known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.testing import steps, steps_in_partitions
from headrace.timeline.versions import deaths
from headrace.types import FOREVER

ENTRIES = st.lists(st.tuples(st.integers(0, 2), st.integers(-5, 5), st.booleans()), max_size=10)


@given(ENTRIES)
def test_by_brute_force(entries: list[tuple[int, int, bool]]) -> None:
    key, known, truncates = (np.array([e[i] for e in entries], dtype=t) for i, t in enumerate(("i8", "i8", "?")))
    for place, ended in enumerate(deaths(key, known, truncates).tolist()):
        later = [e[1] for e in entries[place + 1 :] if e[2] or (e[0] == entries[place][0] and not entries[place][2])]
        assert ended == min(later, default=FOREVER)


def test_a_clock_that_runs_back_is_the_same_in_spans() -> None:
    source = hr.ChangeSource(
        "rows", primary_key="id", event_time="t", schema={"id": hr.Int64, "t": hr.Timestamp, "x": hr.Int64}
    )
    view = hr.FeatureView("v", entity=None, source=source, features={"x": hr.last("x"), "n": hr.count()})
    known = [-1, -1, 0, -2_000_000]
    rows = [{"id": 0, "t": -1, "x": i, "_op": "update", "_known": k} for i, k in enumerate(known)]
    whole = steps(view, rows)
    assert whole["x"].to_list() == [3]
    assert steps_in_partitions(view, rows, [-1, 0]).equals(whole)
