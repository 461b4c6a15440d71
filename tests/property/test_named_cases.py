"""Cases that feature stores and stream processors are known to get wrong, one test each, on paper-sized rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.testing import steps, value_at

DRIVER = hr.Entity("driver", keys={"driver_id": hr.Int64})
D0, D1, D2 = "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z", "2026-01-07T00:00:00Z"
CREATED = hr.EventSource(
    "ratings",
    schema={"driver_id": hr.Int64, "at": hr.Timestamp, "created": hr.Timestamp, "rating": hr.Int64},
    event_time="at", available_time="created",
)  # fmt: skip
RATINGS = hr.FeatureView("ratings", entity=DRIVER, source=CREATED, features={"rating": hr.last("rating")})


def rating(driver: int, at: str, created: str, value: int) -> dict[str, Any]:
    return {"driver_id": driver, "at": at, "created": created, "rating": value}


def asked(found: pl.DataFrame, at: str, driver: int = 1001) -> dict[str, Any] | None:
    return value_at(found, {"driver_id": driver}, at)


def answers(found: pl.DataFrame, feature: str, times: Sequence[str], key: Mapping[str, Any]) -> list[Any]:
    values = [value_at(found, key, time) for time in times]
    return [None if value is None else value[feature] for value in values]


@pytest.mark.parametrize("later_first", [False, True])
def test_of_a_backfilled_tie_the_row_created_last_wins(later_first: bool) -> None:
    rows = [rating(1001, D0, D0, 10), rating(1001, D0, D1, 20)]
    answer = asked(steps(RATINGS, rows[::-1] if later_first else rows), D2)
    assert answer is not None
    assert answer["rating"] == 20


def test_event_time_beats_creation_time() -> None:
    answer = asked(steps(RATINGS, [rating(1002, D0, D1, 30), rating(1002, D1, D0, 40)]), D2, 1002)
    assert answer is not None
    assert answer["rating"] == 40


@pytest.mark.parametrize(("known", "rated"), [("then", 10), ("now", 20)])
def test_a_correction_was_not_known_before_it_was_made(known: Any, rated: int) -> None:
    rows = [rating(1001, D0, D0, 10), rating(1001, D0, D2, 20)]
    answer = asked(steps(RATINGS, rows, known=known), D1)
    assert answer is not None
    assert answer["rating"] == rated


RIDES = hr.ChangeSource(
    "rides",
    schema={"ride_id": hr.Int64, "driver_id": hr.Int64, "requested_at": hr.Timestamp, "fare": hr.Int64},
    event_time="requested_at", primary_key="ride_id",
)  # fmt: skip
FARES = hr.FeatureView(
    "fares", entity=DRIVER, source=RIDES, features={"rides": hr.count(), "fare": hr.sum("fare"), "most": hr.max("fare")}
)


def second(n: float) -> str:
    return f"2026-01-05T08:00:{n:09.6f}Z"


def change(op: str, known: float, ride: int, driver: int, fare: int | None) -> dict[str, Any]:
    requested_at = second(0)
    return {"ride_id": ride, "driver_id": driver, "requested_at": requested_at, "fare": fare, "_op": op,
            "_known": second(known)}  # fmt: skip


def test_an_inserted_updated_moved_and_deleted_row_moves_aggregates_when_each_was_known() -> None:
    log = [
        change("insert", 10, 1, 7, 30),
        change("insert", 11, 2, 7, 50),
        change("update", 20, 2, 7, 40),
        change("update", 30, 1, 8, 30),
        change("delete", 40, 2, 7, None),
    ]
    found = steps(FARES, log)
    seconds = [10, 10.000001, 20, 20.000001, 30.000001, 40, 40.000001]
    times = [second(n) for n in seconds]
    assert answers(found, "fare", times, {"driver_id": 7}) == [None, 30, 80, 70, 40, 40, None]
    assert answers(found, "rides", times, {"driver_id": 7}) == [None, 1, 2, 2, 1, 1, 0]
    assert answers(found, "most", times, {"driver_id": 7}) == [None, 30, 50, 40, 40, 40, None]
    assert answers(found, "fare", times, {"driver_id": 8}) == [None, None, None, None, 30, 30, 30]


PINGS = hr.EventSource(
    "pings", schema={"driver_id": hr.Int64, "ts": hr.Timestamp, "arrived": hr.Timestamp}, event_time="ts",
    available_time="arrived", max_lateness="10s",
)  # fmt: skip


def ping(happened: float, arrived: float | None = None) -> dict[str, Any]:
    return {"driver_id": 7, "ts": second(happened), "arrived": second(happened if arrived is None else arrived)}


def test_a_window_empties_with_time_although_nothing_new_arrives() -> None:
    window = hr.sliding("20s", hop="5s")
    features = {"n": hr.count(window=window), "last": hr.last("ts", window)}
    view = hr.FeatureView("recent", entity=DRIVER, source=PINGS, features=features)
    found = steps(view, [ping(3)])
    times = [second(3), second(3.000001), second(24.999999), second(25)]
    assert answers(found, "n", times, {"driver_id": 7}) == [None, 1, 1, 0]
    assert answers(found, "last", [second(25)], {"driver_id": 7}) == [None]


def test_a_late_row_is_a_correction_of_its_window_and_never_dropped() -> None:
    """Delay 10 s, windows of 5 s; pings at 10 to 14 and 15, then one of 10 that arrives at 26."""
    view = hr.FeatureView("five", entity=DRIVER, source=PINGS, features={"n": hr.count(window=hr.tumbling("5s"))})
    found = steps(view, [*map(ping, (10, 11, 12, 13, 14, 15)), ping(10, 26)])
    times = [second(n) for n in (24.999999, 25, 26, 26.000001, 29.999999, 30, 34.999999, 35)]
    assert answers(found, "n", times, {"driver_id": 7}) == [0, 5, 5, 6, 6, 1, 1, 0]


def test_two_views_may_have_features_of_one_name() -> None:
    other = hr.FeatureView("other", entity=DRIVER, source=CREATED, features={"rating": hr.first("rating")})
    service = hr.FeatureService("both", features=[RATINGS, other])
    names = [column for member in (RATINGS, other) for column in member[["rating"]].columns.values()]
    assert names == ["ratings__rating", "other__rating"]
    assert service.name == "both"


def test_composite_keys_that_concatenate_alike_stay_apart() -> None:
    pair = hr.Entity("pair", keys={"one": hr.Int64, "two": hr.Int64})
    source = hr.EventSource("rows", schema={"one": hr.Int64, "two": hr.Int64, "at": hr.Timestamp}, event_time="at")
    view = hr.FeatureView("pairs", entity=pair, source=source, features={"n": hr.count()})
    keys = [(1, 23), (12, 3), (12, 3)]
    found = steps(view, [{"one": one, "two": two, "at": second(place)} for place, (one, two) in enumerate(keys)])
    assert answers(found, "n", [second(9)], {"one": 1, "two": 23}) == [1]
    assert answers(found, "n", [second(9)], {"one": 12, "two": 3}) == [2]


def test_an_outlier_does_not_outlive_its_window_and_no_variance_is_negative() -> None:
    source = hr.EventSource(
        "rows", schema={"driver_id": hr.Int64, "ts": hr.Timestamp, "x": hr.Float64}, event_time="ts"
    )
    window = hr.sliding("5s", hop="1s")
    view = hr.FeatureView(
        "outliers", entity=DRIVER, source=source,
        features={"total": hr.sum("x", window), "spread": hr.variance("x", window)},
    )  # fmt: skip
    values = [0.1, 0.1, 1e15, *[0.1] * 20]
    found = steps(view, [{"driver_id": 7, "ts": second(n), "x": x} for n, x in enumerate(values)])
    assert found.select((pl.col("spread") >= 0).all()).item()
    after = found.filter(pl.col("valid_from") >= pl.lit(second(9)).str.to_datetime(time_zone="UTC"))
    sizes = after["total"].drop_nulls().to_list()
    assert sizes
    assert all(abs(total / 0.1 - round(total / 0.1)) < 1e-8 for total in sizes)
