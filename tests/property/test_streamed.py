"""What a stream makes of rows, epoch by epoch, against the oracle: at whatever cuts, in whatever order rows come."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.engines.polars import PolarsEngine
from headrace.engines.polars_types import from_polars
from headrace.streaming.lane import Lane, moved
from headrace.testing import silver, steps
from headrace.timeline.packed_layouts import layout_of
from headrace.types import SECOND
from tests.property.agreement import agrees, micros
from tests.property.oracle import evaluated, value_at
from tests.property.strategies import CONDITIONS, KINDS, WINDOWS, rows, views
from tests.property.test_steps import entities, in_force, index

AHEAD = st.sampled_from([None, None, 0, 0, 1, 3 * SECOND, 6 * SECOND, 40 * SECOND])
CASES = [(window, kind) for window in WINDOWS for kind in KINDS if kind != "snapshot"]


def lane_of(view: hr.FeatureView, frame: pl.DataFrame) -> Lane:
    types = {name: from_polars(dtype) for name, dtype in frame.schema.items() if not name.startswith("_hr_")}
    return Lane(view, "0" * 16, layout_of(view, types), 1)


def known(frame: pl.DataFrame) -> pl.Series:
    return frame["_hr_known"].dt.epoch("us")


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_each_step_comes_once_and_is_that_of_the_batch(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    frame, whole = silver(view.source, given_rows), steps(view, given_rows)
    spots = sorted({micros(t) + tick for t in whole["valid_from"].to_list() for tick in (-1, 0, 1)})
    cuts = sorted(data.draw(st.lists(st.sampled_from(spots), max_size=4, unique=True), label="cuts")) if spots else []
    lane, done, last = lane_of(view, frame), [], None
    for cut in [*cuts, max([0, *spots]) + 10**6]:
        mine = frame.filter((known(frame) < cut) & (known(frame) >= (-(10**18) if last is None else last)))
        found = moved(PolarsEngine(), lane, mine, cut, every_step=True)
        lane, last = found.lane, cut
        done.append(found.steps.select(whole.columns))
    streamed = pl.concat(done).sort([*view.entity_keys, "valid_from"])
    assert streamed.select(*view.entity_keys, "valid_from").equals(whole.select(*view.entity_keys, "valid_from"))


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_records_say_now_and_later_what_the_definitions_mean(
    window: str, kind: str, every_step: bool, data: st.DataObject
) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    frame = silver(view.source, given_rows)
    n_epochs = data.draw(st.integers(1, 4), label="epochs")
    epoch = [data.draw(st.integers(0, n_epochs - 1)) for _ in given_rows]  # in any order: some come late
    if kind == "change":
        epoch.sort()  # a log is read in its order
    lane, cut, shown = lane_of(view, frame), -(10**18), set()
    for number in range(n_epochs):
        mine = frame.filter(pl.Series([each == number for each in epoch], dtype=pl.Boolean))
        ahead = data.draw(AHEAD)  # where it is ahead of what is read, what comes next may have been known before it
        cut = cut if ahead is None else max([cut, *known(mine).to_list()]) + ahead
        lane = moved(PolarsEngine(), lane, mine, cut, every_step=every_step).lane
        shown |= told_of(lane, cut)
    if lane.written is None:
        assert not given_rows
        return
    assert_right_from(view, given_rows, lane.written, max(cut, -(10**15)), shown)


def told_of(lane: Lane, cut: int) -> set[tuple[Any, ...]]:
    """The entities whose records say something of a time up to the cut."""
    if lane.written is None:
        return set()
    told = lane.written.filter(pl.col("valid_from").dt.epoch("us") <= cut)
    return {tuple(row[key] for key in lane.keys) for row in told.iter_rows(named=True)}


def assert_right_from(
    view: hr.FeatureView, given_rows: list[dict[str, Any]], found: pl.DataFrame, start: int, shown: set[tuple[Any, ...]]
) -> None:
    """At a time when all is known, and at each step that is scheduled after it."""
    by_key = index(found.sort([*view.entity_keys, "valid_from"]), view)
    spots = {start, *(micros(t) + tick for t in found["valid_from"].to_list() for tick in (-1, 0, 1))}
    for key in entities(view):
        mine = by_key.get(tuple(key.values()), [])
        for time in sorted(spot for spot in spots if spot >= start):
            step, wanted = in_force(mine, time), value_at(view, given_rows, key, time, CONDITIONS, "then")
            where = f"{key} at {time}"
            if wanted is None and step is not None and view.mutable and tuple(key.values()) in shown:
                # Of all its rows came to light, after they were shown, that they had ended before they began.
                wanted = {name: evaluated(view, f, [], time, CONDITIONS) for name, f in view.features.items()}
            assert (step is None) == (wanted is None), f"{where}: step {step}, wanted {wanted}"
            if step is None or wanted is None:
                continue
            for name, feature in view.features.items():
                assert agrees(feature, step[name], wanted[name]), f"{where}: {name} {step[name]}, wanted {wanted[name]}"
