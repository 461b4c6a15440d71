"""Each feature of the reference platform against a computation that shares no code with headrace."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import narwhals as nw
import polars as pl
import pytest

from data_platform.features import (
    available,
    cell_demand,
    city_wait,
    driver_now,
    driver_papers,
    driver_rating,
    driver_wait,
    inspection,
)
from data_platform.features.grid import cell_number
from data_platform.simulator import City
from data_platform.simulator.changes import RIDE_SCHEMA
from headrace.testing import steps, value_at

UTC_US = pl.Datetime("us", "UTC")
TIMES = [name for name in RIDE_SCHEMA if name.endswith("_at")]
MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


# ---------------------------------------------------------------- from the rides table's changes


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """A day of changes before faults, as `headrace.testing` takes them."""
    changes = City(seed=5, drivers=90, ping_interval_s=60).ride_changes(0)
    image = pl.coalesce("after", "before")
    rows = changes.select("op", "ts_us", image.alias("image")).unnest("image")
    return rows.with_columns(pl.col(TIMES).cast(UTC_US), pl.col("ts_us").cast(UTC_US)).rename(
        {"op": "_op", "ts_us": "_known"}
    )


def table_at(log: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """The rides table as a reader at a moment knows it: changes known before then, one after the other."""
    rides: dict[int, dict[str, Any]] = {}
    for change in log.iter_rows(named=True):
        if change["_known"] >= moment:
            break
        if change["_op"] == "d":
            del rides[change["ride_id"]]
        else:
            rides[change["ride_id"]] = change
    return pl.DataFrame(list(rides.values()), schema=log.schema)


def moments(count: int = 25) -> Iterator[datetime]:
    rng = random.Random(11)
    for _ in range(count):
        yield MIDNIGHT + timedelta(microseconds=rng.randrange(3 * 3_600_000_000, 24 * 3_600_000_000))


def close(found: float | None, wanted: float | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=1e-9)


def test_the_changes_include_what_makes_ratings_hard(log: pl.DataFrame) -> None:
    by_ride = log.filter(pl.col("rating").is_not_null()).group_by("ride_id")
    varied = by_ride.agg(pl.col("rating").n_unique().alias("ratings"), pl.col("driver_id").n_unique().alias("drivers"))
    assert varied.filter(pl.col("ratings") > 1).height > 3
    assert varied.filter(pl.col("drivers") > 1).height > 0
    assert log.filter((pl.col("_op") == "d") & pl.col("rating").is_not_null()).height > 0


def test_lifetime_rating_under_updates_deletes_and_reassignment(log: pl.DataFrame) -> None:
    found = steps(driver_rating, log)
    compared = 0
    for moment in moments():
        rated = table_at(log, moment).drop_nulls(["rating", "driver_id"])
        wanted = {driver: (mean, n) for driver, mean, n in rated.group_by("driver_id").agg(
            pl.col("rating").mean().alias("mean"), pl.len()).iter_rows()}  # fmt: skip
        for driver in log["driver_id"].drop_nulls().unique().sort().gather_every(2):
            value = value_at(found, {"driver_id": driver}, moment) or {"rating_mean": None, "ratings": 0}
            mean, count = wanted.get(driver, (None, 0))
            assert close(value["rating_mean"], mean), (driver, moment)
            assert value["ratings"] == count, (driver, moment)
            compared += count > 0
    assert compared > 500


def test_a_rating_moves_with_its_ride_and_goes_with_it() -> None:
    def change(op: str, minute: int, ride: int, driver: int | None, rating: int | None) -> dict[str, Any]:
        known = MIDNIGHT + timedelta(minutes=minute)
        row = {"ride_id": ride, "driver_id": driver, "rating": rating, "requested_at": MIDNIGHT}
        return {"_op": op, "_known": known, **row}

    found = steps(
        driver_rating,
        [
            change("insert", 1, 1, None, None),
            change("update", 2, 1, 7, None),
            change("update", 3, 1, 7, 4),
            change("insert", 4, 2, 7, 1),
            change("update", 5, 1, 7, 5),
            change("update", 6, 1, 8, 5),
            change("delete", 7, 2, 7, 1),
        ],
    )

    def means(minute: int) -> list[float | None]:
        values = [value_at(found, {"driver_id": d}, MIDNIGHT + timedelta(minutes=minute, seconds=1)) for d in (7, 8)]
        return [None if value is None else value["rating_mean"] for value in values]

    assert [means(minute) for minute in range(2, 8)] == [
        [None, None], [4.0, None], [2.5, None], [3.0, None], [1.0, 5.0], [None, 5.0],
    ]  # fmt: skip


def test_demand_by_cell(log: pl.DataFrame) -> None:
    found = steps(cell_demand, log)
    compared = 0
    for moment in moments():
        since = (moment - timedelta(minutes=15)).replace(second=0, microsecond=0)
        recent = table_at(log, moment).filter(pl.col("requested_at") >= since)
        wanted = dict(with_cell(recent).group_by("cell").len().iter_rows())
        for cell in {*wanted, *with_cell(log)["cell"].unique().sort().gather_every(9)}:
            value = value_at(found, {"cell": cell}, moment)
            assert (value["requests_15m"] if value else 0) == wanted.get(cell, 0), (cell, moment)
        compared += len(wanted)
    assert compared > 50


def test_mean_wait_of_a_city_over_whole_five_minutes(log: pl.DataFrame) -> None:
    found = steps(city_wait, log)
    compared = 0
    for moment in moments(60):
        end = floor(moment - timedelta(seconds=2), timedelta(minutes=5))
        picked = table_at(log, moment).filter(
            pl.col("picked_up_at") >= end - timedelta(minutes=5), pl.col("picked_up_at") < end
        )
        waits = (pl.col("picked_up_at") - pl.col("requested_at")).dt.total_microseconds() / 1e6
        wanted = dict(picked.group_by("city").agg(waits.mean()).iter_rows())
        for city in log["city"].unique():
            value = value_at(found, {"city": city}, moment)
            assert close(value["wait_mean_5m"] if value else None, wanted.get(city)), (city, moment)
        compared += len(wanted)
    assert compared > 30


def test_last_wait_of_a_driver(log: pl.DataFrame) -> None:
    found = steps(driver_wait, log)
    compared = 0
    for moment in moments():
        picked = table_at(log, moment).drop_nulls(["picked_up_at", "driver_id"]).sort("picked_up_at")
        waits = (pl.col("picked_up_at") - pl.col("requested_at")).dt.total_microseconds() / 1e6
        wanted = dict(picked.group_by("driver_id").agg(waits.last()).iter_rows())
        for driver in log["driver_id"].drop_nulls().unique().sort().gather_every(2):
            value = value_at(found, {"driver_id": driver}, moment)
            assert close(value["last_wait_s"] if value else None, wanted.get(driver)), (driver, moment)
        compared += len(wanted)
    assert compared > 500


def floor(moment: datetime, length: timedelta) -> datetime:
    return moment - (moment - MIDNIGHT) % length


# ---------------------------------------------------------------- from pings


def ping(second: float, speed: float, *, status: str = "available", late_s: float = 0.5) -> dict[str, Any]:
    happened = MIDNIGHT + timedelta(seconds=second)
    return {
        "event_id": f"{second}", "driver_id": 7, "ts": happened, "received_at": happened + timedelta(seconds=late_s),
        "lat": 25.2, "lon": 55.3, "speed_mps": speed, "status": status,
    }  # fmt: skip


def test_speed_counts_what_was_received_and_lets_go_in_hops() -> None:
    found = steps(driver_now, [ping(10, 4.0), ping(40, 8.0, late_s=60), ping(70, 99.0, status="offline")])

    def speed(second: float) -> float | None:
        value = value_at(found, {"driver_id": 7}, MIDNIGHT + timedelta(seconds=second))
        return None if value is None else value["speed_mean_5m"]

    assert speed(10.5) is None, "a reader at the microsecond of arrival does not see it yet"
    assert speed(10.500001) == 4.0
    assert speed(99) == 4.0, "the second ping is still on its way"
    assert speed(101) == 6.0
    assert speed(329.999999) == 6.0
    assert speed(330) == 8.0, "the first ping leaves five minutes after its hop of 30 seconds has ended"
    assert speed(360) is None


def availability(status: str | None, last_ping: datetime | None, now: datetime) -> bool:
    frame = pl.DataFrame(
        {"status": [status], "last_ping": [last_ping], "now": [now]},
        schema={"status": pl.String, "last_ping": UTC_US, "now": UTC_US},
    )
    inputs = {column.name: nw.from_native(column, series_only=True) for column in frame.get_columns()}
    answer: bool = available(**inputs).to_list()[0]
    return answer


def test_a_driver_is_available_while_free_and_heard_of_within_a_minute() -> None:
    minute = timedelta(seconds=60)
    assert availability("available", MIDNIGHT, MIDNIGHT + minute)
    assert not availability("available", MIDNIGHT, MIDNIGHT + minute + MICROSECOND)
    assert not availability("on_trip", MIDNIGHT, MIDNIGHT)
    assert not availability(None, None, MIDNIGHT)


# ---------------------------------------------------------------- from documents


def papers(snapshot: date, driver: int = 7) -> dict[str, Any]:
    return {
        "_snapshot": snapshot, "driver_id": driver, "inspection_passed_on": date(2025, 12, 10),
        "inspection_valid_days": 30, "document_status": "approved",
    }  # fmt: skip


def inspected(found: pl.DataFrame, now: datetime) -> tuple[bool, float | None]:
    value = value_at(found, {"driver_id": 7}, now) or {"passed_on": None, "valid_days": None}
    frame = pl.DataFrame(
        {"passed_on": [value["passed_on"]], "valid_days": [value["valid_days"]], "now": [now]},
        schema={"passed_on": pl.Date, "valid_days": pl.Int64, "now": UTC_US},
    )
    made = inspection(**{column.name: nw.from_native(column, series_only=True) for column in frame.get_columns()})
    return made["valid"].to_list()[0], made["days_left"].to_list()[0]


def test_an_inspection_expires_by_itself_to_the_microsecond() -> None:
    found = steps(driver_papers, [papers(date(2026, 1, 5))])
    expires = datetime(2026, 1, 9, tzinfo=UTC)  # 30 days after 2025-12-10; no file says so
    assert inspected(found, expires - MICROSECOND)[0]
    assert inspected(found, expires) == (False, 0.0)
    assert inspected(found, expires - timedelta(days=1)) == (True, 1.0)


def test_papers_are_known_when_their_file_has_landed_and_until_the_next_one_lacks_them() -> None:
    found = steps(driver_papers, [papers(date(2026, 1, 5)), papers(date(2026, 1, 6), driver=8)])
    landed = datetime(2026, 1, 6, 2, 30, tzinfo=UTC)  # the last microsecond of the day, and 2 h 30 min
    assert inspected(found, landed - MICROSECOND) == (False, None)
    assert inspected(found, landed)[0]
    assert inspected(found, landed + timedelta(days=1) - MICROSECOND)[0]
    assert inspected(found, landed + timedelta(days=1)) == (False, None)


# ---------------------------------------------------------------- the grid


def with_cell(frame: pl.DataFrame) -> pl.DataFrame:
    number = cell_number(nw.col("pickup_lat"), nw.col("pickup_lon"))
    return nw.from_native(frame).with_columns(cell=number).to_native()


@pytest.mark.parametrize("south", [-60, 0, 23, 41, 70])
def test_a_degree_square_holds_as_many_cells_as_square_kilometres(south: int) -> None:
    def crossed(lat: list[float], lon: list[float]) -> int:
        return with_cell(pl.DataFrame({"pickup_lat": lat, "pickup_lon": lon}))["cell"].n_unique() - 1  # edges

    fine = [i / 5_000 for i in range(5_001)]
    across = crossed([south + 0.5] * len(fine), [10 + f for f in fine])
    along = crossed([south + f for f in fine], [10.5] * len(fine))
    degree_square_km2 = (
        6371.0072**2 * math.radians(1) * (math.sin(math.radians(south + 1)) - math.sin(math.radians(south)))
    )
    assert across * along == pytest.approx(degree_square_km2, abs=across + along)  # each to one cell


def test_cells_are_about_as_wide_as_high_in_the_platforms_cities() -> None:
    for lat in (23.6, 41.7):
        km_a_degree = 111.195
        corners = pl.DataFrame({
            "pickup_lat": [lat, lat, lat + 10 / km_a_degree],
            "pickup_lon": [50.0, 50 + 10 / km_a_degree / math.cos(math.radians(lat)), 50.0],
        })  # fmt: skip
        here, east, north = with_cell(corners)["cell"].to_list()
        assert 8 <= east - here <= 12
        assert 8 <= (north - here) // 100_000 <= 12
