"""What a stream makes of entries and rows that come late, on paper-sized rows: each case by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.engines.polars import PolarsEngine
from headrace.streaming.lane import Lane, moved
from headrace.testing import silver, value_at
from headrace.types import SECOND
from tests.property.test_streamed import lane_of

DRIVER = hr.Entity("driver", keys={"driver": hr.Int64})
SCHEMA = {"ride": hr.Int64, "driver": hr.Int64, "at": hr.Timestamp, "fare": hr.Int64}
RIDES = hr.ChangeSource("rides", schema=SCHEMA, event_time="at", primary_key="ride")
PINGS = hr.EventSource(
    "pings", schema={**SCHEMA, "seen": hr.Timestamp}, event_time="at", dedupe_on="ride", available_time="seen"
)
FEATURES = {"n": hr.count(), "fare": hr.last("fare"), "n_30s": hr.count(window=hr.sliding("30s", hop="10s"))}
FINE = hr.FeatureView("fares", entity=DRIVER, source=RIDES, features=FEATURES)
COARSE = hr.FeatureView("fares", entity=DRIVER, source=RIDES, features=FEATURES, resolution="4s")
EVENTS = hr.FeatureView("fares", entity=DRIVER, source=PINGS, features=FEATURES, resolution="4s")
CUT = 102
"""Seconds: 100 and 104 are the multiples beside it."""
Epochs = Sequence[tuple[Sequence[Mapping[str, Any]], float]]


def entry(
    op: str, known: float, *, ride: int = 1, driver: int = 7, fare: int | None = 10, at: float = 80
) -> dict[str, Any]:
    return {
        "ride": ride,
        "driver": driver,
        "at": int(at * SECOND),
        "fare": fare,
        "_op": op,
        "_known": int(known * SECOND),
    }


def ping(at: float, *, seen: float | None = None, ride: int = 1, driver: int = 7, fare: int = 10) -> dict[str, Any]:
    known = at if seen is None else seen
    return {"ride": ride, "driver": driver, "at": int(at * SECOND), "fare": fare, "seen": int(known * SECOND)}


def streamed(view: hr.FeatureView, epochs: Epochs, *, every_step: bool = False) -> tuple[Lane, pl.DataFrame]:
    """A view's lane after epochs of rows, each with its cut in seconds, and the steps that it gave."""
    frame = silver(view.source, [row for rows, _ in epochs for row in rows])
    lane, steps, start = lane_of(view, frame), [], 0
    for rows, cut in epochs:
        mine = frame[start : start + len(rows)]
        found = moved(PolarsEngine(), lane, mine, int(cut * SECOND), every_step=every_step)
        # Through its frames, as after a restart.
        lane = replace(lane, carry=None, written=None).restored(found.lane.frames(), found.lane.note())
        steps.append(found.steps)
        start += len(rows)
    return lane, pl.concat(steps)


def answer(lane: Lane, at: float, driver: int = 7) -> dict[str, Any] | None:
    assert lane.written is not None
    found = value_at(lane.written, {"driver": driver}, int(at * SECOND))
    return None if found is None else {name: found[name] for name in FEATURES}


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_an_update_that_was_known_before_the_cut_counts_from_the_cut(view: hr.FeatureView) -> None:
    lane, _ = streamed(view, [([entry("insert", 90)], CUT), ([entry("update", 95, fare=20)], CUT)])
    assert answer(lane, CUT - 1) == {"n": 1, "fare": 10, "n_30s": 1}
    assert answer(lane, CUT) == {"n": 1, "fare": 20, "n_30s": 1}


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_a_deletion_that_was_known_before_the_cut_counts_from_the_cut(view: hr.FeatureView) -> None:
    lane, _ = streamed(view, [([entry("insert", 90)], CUT), ([entry("delete", 95)], CUT)])
    assert answer(lane, CUT - 1) == {"n": 1, "fare": 10, "n_30s": 1}
    assert answer(lane, CUT) == {"n": 0, "fare": None, "n_30s": 0}


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_a_row_that_moved_to_another_entity_before_the_cut_moves_at_the_cut(view: hr.FeatureView) -> None:
    first = [entry("insert", 90), entry("insert", 90, ride=2, driver=9)]
    lane, _ = streamed(view, [(first, CUT), ([entry("update", 95, driver=8)], CUT)])
    assert [found and found["n"] for found in (answer(lane, CUT - 1, driver) for driver in (7, 8, 9))] == [1, None, 1]
    assert [found and found["n"] for found in (answer(lane, CUT, driver) for driver in (7, 8, 9))] == [0, 1, 1]


def test_what_is_known_behind_the_last_multiple_before_the_cut_counts_from_the_next_one() -> None:
    lane, _ = streamed(COARSE, [([entry("insert", 90)], CUT), ([entry("update", 101, fare=20)], CUT)])
    assert [answer(lane, at)["fare"] for at in (CUT, 104)] == [10, 20]  # type: ignore[index]


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_an_entity_whose_rows_began_and_ended_before_the_cut_is_known_from_the_cut(view: hr.FeatureView) -> None:
    other = ([entry("insert", 90, ride=2, driver=8)], CUT)
    lane, _ = streamed(view, [other, ([entry("insert", 94), entry("delete", 95)], CUT)])
    assert answer(lane, CUT - 1) is None
    assert answer(lane, CUT) == {"n": 0, "fare": None, "n_30s": 0}


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_an_entity_whose_row_had_ended_before_it_began_is_never_known(view: hr.FeatureView) -> None:
    other = ([entry("insert", 90, ride=2, driver=8)], CUT)
    lane, _ = streamed(view, [other, ([entry("insert", 95), entry("delete", 94)], CUT)])
    assert answer(lane, CUT + 100) is None
    lane, _ = streamed(view, [other, ([entry("insert", 90, at=200)], CUT), ([entry("delete", 95)], CUT)])
    assert answer(lane, 300) is None


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_an_entity_that_was_shown_stays_known_though_its_row_had_ended_before_it_began(view: hr.FeatureView) -> None:
    lane, _ = streamed(view, [([entry("insert", 95)], CUT), ([entry("delete", 94)], CUT)])
    assert answer(lane, CUT - 1) == {"n": 1, "fare": 10, "n_30s": 1}
    assert answer(lane, CUT) == {"n": 0, "fare": None, "n_30s": 0}


@pytest.mark.parametrize("view", [FINE, COARSE])
def test_a_correction_at_the_cut_stays_while_the_cut_stays_where_it_is(view: hr.FeatureView) -> None:
    update, future = entry("update", 95, fare=20), entry("insert", 95, ride=2, at=500)
    lane, _ = streamed(view, [([entry("insert", 90)], CUT), ([update], CUT), ([future], CUT)])
    assert answer(lane, CUT) == {"n": 1, "fare": 20, "n_30s": 1}


def test_a_late_event_counts_from_the_cut_and_stays_while_the_cut_stays_where_it_is() -> None:
    late, future = ping(95, ride=2, fare=20), ping(103, ride=3, fare=30)
    lane, _ = streamed(EVENTS, [([ping(90)], CUT), ([late], CUT), ([future], CUT)])
    assert [answer(lane, at)["fare"] for at in (CUT - 1, CUT, 104)] == [10, 20, 30]  # type: ignore[index]


@pytest.mark.parametrize(("view", "first", "late"), [
    (EVENTS, [ping(90), ping(90, ride=2, driver=8)], ping(95, ride=3, fare=20)),
    (COARSE, [entry("insert", 90), entry("insert", 90, ride=2, driver=8)], entry("update", 95, fare=20)),
])  # fmt: skip
def test_a_late_row_makes_a_step_of_its_own_entity_alone_and_makes_it_once(
    view: hr.FeatureView, first: list[dict[str, Any]], late: dict[str, Any]
) -> None:
    future = {
        **late,
        "ride": 4,
        **({"seen": 500 * SECOND} if view is EVENTS else {"_op": "insert", "_known": 500 * SECOND}),
    }
    _, steps = streamed(view, [(first, CUT), ([late], CUT), ([], CUT), ([future], 103), ([], 104)], every_step=True)
    at_the_cut = steps.filter(pl.col("valid_from").dt.epoch("us") == CUT * SECOND)
    assert at_the_cut.select("driver", "n", "fare").rows() == [(7, 2 if view is EVENTS else 1, 20)]


def test_a_global_view_is_corrected_at_the_cut_too() -> None:
    view = hr.FeatureView("all", entity=None, source=RIDES, features=FEATURES, resolution="4s")
    epochs: Epochs = [
        ([entry("insert", 90)], CUT), ([entry("update", 95, fare=20)], CUT),
        ([entry("insert", 95, ride=2, at=500)], CUT),
    ]  # fmt: skip
    lane, _ = streamed(view, epochs)
    assert lane.written is not None
    assert [value_at(lane.written, {}, at * SECOND)["fare"] for at in (CUT - 1, CUT)] == [10, 20]  # type: ignore[index]
