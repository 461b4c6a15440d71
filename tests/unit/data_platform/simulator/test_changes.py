"""The ride changes are well-formed envelopes that replay to the true rides."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from data_platform.simulator.changes import RIDE_SCHEMA
from tests.unit.data_platform.simulator.conftest import SHARES, Simulation


@pytest.fixture(scope="module")
def lines(simulation: Simulation) -> list[str]:
    return [
        line for path in sorted((simulation.root / "landing/rides").iterdir()) for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def envelopes(lines: list[str]) -> list[dict[str, Any]]:
    """Return the envelopes without torn lines and second copies, in the order of the log."""
    unique: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        try:
            change = json.loads(line, parse_float=Decimal)
        except json.JSONDecodeError:
            continue
        unique.setdefault((change["source"]["file"], change["source"]["pos"]), change)
    return [unique[position] for position in sorted(unique)]


def test_torn_lines_and_second_copies_are_as_the_truth_says(simulation: Simulation, lines: list[str]) -> None:
    torn = 0
    positions: Counter[tuple[str, int]] = Counter()
    for line in lines:
        try:
            source = json.loads(line)["source"]
        except json.JSONDecodeError:
            torn += 1
        else:
            positions[source["file"], source["pos"]] += 1
    truth = pl.read_parquet(simulation.root / "truth/ride_faults/*.parquet")
    twice = {position for position, count in positions.items() if count == 2}
    assert torn == (truth["fault"] == "unparseable").sum()
    assert twice == set(truth.filter(pl.col("fault") == "duplicate").select("file", "pos").iter_rows())
    assert simulation.written.ride_faults == Counter(truth["fault"])
    assert simulation.written.ride_changes == len(positions)
    assert 0.5 * SHARES.ride_duplicate < len(twice) / len(positions) < 2 * SHARES.ride_duplicate


def test_envelopes_have_the_connectors_shape(envelopes: list[dict[str, Any]]) -> None:
    for change in envelopes:
        assert list(change) == ["before", "after", "op", "ts_ms", "ts_us", "source"]
        assert list(change["source"]) == ["ts_ms", "file", "pos", "row", "snapshot", "db", "table"]
        assert change["ts_ms"] == change["ts_us"] // 1000
        assert change["source"]["ts_ms"] % 1000 == 0
        assert (change["before"] is None) == (change["op"] in "cr")
        assert (change["after"] is None) == (change["op"] == "d")
        for row in (change["before"], change["after"]):
            assert row is None or list(row) == list(RIDE_SCHEMA)


def test_time_known_strictly_increases_with_the_position(envelopes: list[dict[str, Any]]) -> None:
    known = [change["ts_us"] for change in envelopes]
    assert all(earlier < later for earlier, later in pairwise(known))


def test_no_row_is_known_before_what_it_tells(envelopes: list[dict[str, Any]]) -> None:
    for change in envelopes:
        row = change["after"] or {}
        for name in ("requested_at", "accepted_at", "picked_up_at", "completed_at"):
            assert (row.get(name) or 0) < change["ts_us"]


def test_the_first_day_begins_with_a_snapshot_of_the_day_before(
    simulation: Simulation, envelopes: list[dict[str, Any]]
) -> None:
    snapshot = [change for change in envelopes if change["op"] == "r"]
    assert envelopes[: len(snapshot)] == snapshot
    assert len(snapshot) > 100
    assert all(change["source"]["snapshot"] == "true" for change in snapshot)
    assert all(change["after"]["requested_at"] < simulation.city.start_us(0) for change in snapshot)


def test_before_images_are_the_state_that_the_log_left(envelopes: list[dict[str, Any]]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for change in envelopes:
        ride_id = (change["after"] or change["before"])["ride_id"]
        assert change["before"] == state.get(ride_id)
        state[ride_id] = change["after"]


def test_replaying_the_log_gives_the_true_rides(simulation: Simulation, envelopes: list[dict[str, Any]]) -> None:
    state = {(change["after"] or change["before"])["ride_id"]: change["after"] for change in envelopes}
    for ride in simulation.city.true_rides(0).iter_rows(named=True):
        row = state[ride["ride_id"]]
        if ride["deleted_at"] is not None:
            assert row is None
            continue
        taken_by = ride["offered_driver_id"] if ride["accepted_at"] is not None else None
        assert row["driver_id"] == (ride["reassigned_driver_id"] or taken_by)
        assert row["rating"] == (ride["corrected_rating"] or ride["rating"])
        assert row["status"] == ("completed" if ride["completed_at"] is not None else "cancelled")
        for name in ("rider_id", "city", "requested_at", "accepted_at", "picked_up_at", "completed_at", "fare"):
            assert row[name] == ride[name]


def test_fares_are_numbers_with_two_decimals(lines: list[str]) -> None:
    whole = [line for line in lines if line.endswith("}}") and '"op":' in line]
    fares = [json.loads(line, parse_float=str)["after"] for line in whole]
    texts = [row["fare"] for row in fares if row is not None and row["fare"] is not None]
    assert texts
    assert all(isinstance(text, str) and len(text.partition(".")[2]) == 2 for text in texts)


def test_every_kind_of_change_occurs(simulation: Simulation) -> None:
    rides = pl.concat([simulation.city.true_rides(day) for day in range(-1, 20)])
    for name in ("rating", "corrected_rating", "reassigned_driver_id", "deleted_at", "cancelled_at"):
        assert rides[name].count() > 0
    corrected = rides.drop_nulls("corrected_rating")
    assert (corrected["rating"] != corrected["corrected_rating"]).all()
    assert rides["rating"].drop_nulls().is_between(1, 5).all()
    assert rides["city"].n_unique() >= 5
