"""The GPS files hold the truth plus exactly the faults that the truth lists."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_platform.simulator import City, FaultShares
from data_platform.simulator.faults import CORRUPT_KINDS
from data_platform.simulator.landing import GPS_SCHEMA
from data_platform.simulator.pings import STATUSES
from tests.unit.data_platform.simulator.conftest import SHARES, Simulation

LATE = timedelta(minutes=1)


def _landing(simulation: Simulation) -> pl.DataFrame:
    return pl.read_parquet(simulation.root / "landing/gps/*.parquet")


def _truth(simulation: Simulation) -> pl.DataFrame:
    return pl.read_parquet(simulation.root / "truth/gps/*.parquet")


def _faults(simulation: Simulation) -> pl.DataFrame:
    return pl.read_parquet(simulation.root / "truth/gps_faults/*.parquet")


def test_schema_is_exactly_as_stated(simulation: Simulation) -> None:
    for path in sorted((simulation.root / "landing/gps").iterdir()):
        assert dict(pl.read_parquet_schema(path)) == GPS_SCHEMA


def test_each_fault_is_found_as_often_as_the_truth_says(simulation: Simulation) -> None:
    rows, counts = _landing(simulation), Counter(_faults(simulation)["fault"])
    once = rows.unique("event_id", keep="first", maintain_order=True)
    ahead = once["ts"] > once["received_at"]
    found = {
        "duplicate": len(rows) - len(once),
        "future": ahead.sum(),
        "late": ((once["received_at"] - once["ts"]) > LATE).sum(),
        "corrupt_driver_id_null": once["driver_id"].null_count(),
        "corrupt_lat_out_of_range": (once["lat"].abs() > 90).sum(),
        "corrupt_speed_negative": (once["speed_mps"] < 0).sum(),
        "corrupt_speed_nan": once["speed_mps"].is_nan().sum(),
        "corrupt_status_unknown": (~once["status"].is_in(STATUSES)).sum(),
    }
    assert found == dict(counts)
    assert simulation.written.gps_faults == counts
    assert simulation.written.gps_messages == len(rows)


def test_rows_without_a_fault_are_the_truth(simulation: Simulation) -> None:
    spoilt = _faults(simulation).filter(pl.col("fault").is_in([*CORRUPT_KINDS, "future"]))
    once = _landing(simulation).unique("event_id", keep="first", maintain_order=True)
    good = once.join(spoilt, on="event_id", how="anti", maintain_order="left")
    true = _truth(simulation).join(spoilt, on="event_id", how="anti", maintain_order="left")
    assert_frame_equal(good, true)


def test_truth_has_no_faults(simulation: Simulation) -> None:
    truth = _truth(simulation)
    assert truth["event_id"].is_unique().all()
    assert sum(truth.null_count().row(0)) == 0
    assert (truth["received_at"] >= truth["ts"]).all()
    assert truth["speed_mps"].is_between(0, 60).all()
    assert set(truth["status"]) == set(STATUSES)


def test_shares_are_met_within_five_standard_deviations(simulation: Simulation) -> None:
    counts, size = simulation.written.gps_faults, simulation.written.pings
    corrupt = sum(counts[kind] for kind in CORRUPT_KINDS)
    for share, found in [
        (SHARES.late, counts["late"]),
        (SHARES.duplicate, counts["duplicate"]),
        (SHARES.corrupt, corrupt),
        (SHARES.future, counts["future"]),
    ]:
        # What is still under way when the last file closes is missing from the counts.
        assert abs(found - share * size) < 5 * np.sqrt(share * size) + 0.1 * share * size


def test_files_are_cut_by_arrival(simulation: Simulation) -> None:
    first = simulation.city.start_us(0)
    for number, path in enumerate(sorted((simulation.root / "landing/gps").iterdir())):
        arrived = pl.read_parquet(path)["received_at"].to_physical() - first
        assert arrived.is_sorted()
        assert arrived.is_between(number * 6 * 3_600_000_000, (number + 1) * 6 * 3_600_000_000, closed="left").all()


def test_some_late_and_some_second_copies_land_in_a_later_file(simulation: Simulation) -> None:
    paths = sorted((simulation.root / "landing/gps").iterdir())
    rows = pl.concat([pl.read_parquet(path).with_columns(number=i) for i, path in enumerate(paths)])
    copies = rows.group_by("event_id").agg(pl.col("number").n_unique())
    assert (copies["number"] > 1).any()
    hours = pl.col("ts").dt.epoch("us") // (6 * 3_600_000_000) - simulation.city.start_us(0) // (6 * 3_600_000_000)
    assert (rows.filter(pl.col("ts") <= pl.col("received_at")).select(hours < pl.col("number"))["ts"]).any()


def test_json_lines_hold_the_same_pings_and_torn_lines(simulation: Simulation, json_simulation: Simulation) -> None:
    torn, ids = 0, []
    for path in sorted((json_simulation.root / "landing/gps").iterdir()):
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                torn += 1
                continue
            assert row["received_at"].endswith("Z")
            ids.append(row["event_id"])
    assert torn == json_simulation.written.gps_faults["unparseable"] > 0
    assert ids == _landing(simulation)["event_id"].to_list()
    assert_frame_equal(_truth(json_simulation), _truth(simulation))


def test_speed_agrees_with_the_distance_between_pings() -> None:
    pings = City(drivers=60, ping_interval_s=5, faults=FaultShares.none()).pings(0).sort("driver_id", "ts")
    north = pl.col("lat").diff() * 111_320
    east = pl.col("lon").diff() * 111_320 * pl.col("lat").radians().cos()
    moved = pings.with_columns(
        metres=(north**2 + east**2).sqrt().over("driver_id"),
        seconds=(pl.col("ts").diff().dt.total_microseconds() / 1e6).over("driver_id"),
    ).filter((pl.col("seconds") < 6) & (pl.col("status") != "offline"))
    ratio = (moved["metres"] / moved["seconds"] / moved["speed_mps"]).to_numpy()
    assert 0.8 < np.median(ratio) < 1.2
    assert np.quantile(ratio, 0.01) > 0.3
    assert np.quantile(ratio, 0.99) < 2


def test_a_driver_is_on_trip_from_acceptance_until_the_end_of_the_ride() -> None:
    city = City(drivers=60, ping_interval_s=15, faults=FaultShares.none())
    pings = city.pings(0).select("driver_id", "status", at=pl.col("ts").dt.epoch("us"))
    rides = city.true_rides(0).select(
        "accepted_at", driver_id="offered_driver_id", ended_at=pl.coalesce("completed_at", "cancelled_at")
    )
    taken = rides.drop_nulls()
    during = pings.join_asof(
        taken.sort("accepted_at"),
        left_on="at",
        right_on="accepted_at",
        by="driver_id",
        check_sortedness=False,
    )
    inside = (pl.col("at") < pl.col("ended_at")).fill_null(value=False)
    # A ping's place within its interval is its driver's own, so a change shows at most one interval off.
    edge = pl.min_horizontal((pl.col("at") - pl.col("ended_at")).abs(), pl.col("at") - pl.col("accepted_at")) < 16e6
    clear = during.filter(~edge.fill_null(value=False), pl.col("status") != "offline")
    assert clear.select((inside == (pl.col("status") == "on_trip")).all()).item()


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"FaultShares\.late is a share from 0 to 1"):
        FaultShares(late=share)


def test_shares_that_add_up_to_more_than_one_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1"):
        FaultShares(late=0.6, duplicate=0.6)
