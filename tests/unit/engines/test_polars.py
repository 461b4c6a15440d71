"""What the engine says and does at the edges of its types."""

from __future__ import annotations

import pytest

import headrace as hr
from headrace.errors import OverflowRefusedError
from headrace.testing import steps, value_at

ROWS = hr.EventSource("rows", schema={"t": hr.Timestamp, "n": hr.Int64, "x": hr.Float64}, event_time="t")


def view(**features: object) -> hr.FeatureView:
    return hr.FeatureView("v", entity=None, source=ROWS, features=features)  # type: ignore[arg-type]


def test_an_overflow_names_view_and_feature() -> None:
    rows = [{"t": 1, "n": 2**62, "x": None}, {"t": 2, "n": 2**62, "x": None}]
    with pytest.raises(OverflowRefusedError, match=r"view 'v', feature 'total': .*9223372036854775808"):
        steps(view(total=hr.sum("n")), rows)


def test_floats_beyond_their_range_are_null() -> None:
    found = steps(view(total=hr.sum("x")), [{"t": t, "n": 0, "x": x} for t, x in enumerate([1e308, 1e308, -1e308])])
    assert found["total"].to_list() == [1e308, None, 1e308]


def test_an_outlier_leaves_with_its_window() -> None:
    feature = hr.mean("x", hr.sliding("10us", hop="1us"))
    rows = [{"t": t, "n": 0, "x": 1e15 if t == 50 else 0.1} for t in range(100)]
    found = steps(view(mean=feature), rows)
    assert value_at(found, {}, 90)["mean"] == pytest.approx(0.1, rel=1e-9)  # type: ignore[index]


def test_no_rows() -> None:
    found = steps(view(n=hr.count(), kinds=hr.count_distinct("n"), three=hr.last_n("n", 3)), [])
    assert found.columns == ["valid_from", "event_time", "n", "kinds", "three"]
    assert len(found) == 0
