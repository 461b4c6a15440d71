"""Equal seeds write equal bytes, and a day does not depend on how many others are simulated."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_platform.simulator import City
from data_platform.simulator.__main__ import main
from data_platform.simulator.changes import envelopes
from data_platform.simulator.documents import DOCUMENT_SCHEMA
from tests.unit.data_platform.simulator.conftest import Simulation


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("gps_format", ["parquet", "jsonl"])
def test_the_same_seed_writes_the_same_bytes_and_more_days_change_nothing(
    tmp_path: Path, gps_format: Literal["parquet", "jsonl"]
) -> None:
    def written(name: str, days: int) -> dict[str, str]:
        City(seed=5, drivers=30, ping_interval_s=120).write(tmp_path / name, days, gps_format)
        return _digests(tmp_path / name)

    two, again, three = written("two", 2), written("again", 2), written("three", 3)
    assert two == again
    assert len(two) == 2 * (3 * 4 + 5)
    assert two.items() <= three.items()
    assert len(three) > len(two)


def test_another_seed_writes_other_rows() -> None:
    assert not City(seed=1, drivers=30).labels(0).equals(City(seed=2, drivers=30).labels(0))


def test_a_single_day_is_what_write_writes(simulation: Simulation) -> None:
    city, landing = simulation.city, simulation.root / "landing"
    assert_frame_equal(city.pings(1), pl.read_parquet(landing / "gps/gps_2026-01-06*.parquet"))
    lines = (landing / "rides/rides_2026-01-06.jsonl").read_text().splitlines()
    assert set(envelopes(city.rides(1))) <= set(lines)
    papers = pl.read_csv(landing / "driver_documents/driver_documents_2026-01-06.csv", schema=DOCUMENT_SCHEMA)
    assert_frame_equal(city.documents(1), papers)
    assert_frame_equal(city.labels(1), pl.read_parquet(simulation.root / "labels/labels_2026-01-06.parquet"))


def test_smaller_chunks_hold_the_same_drivers_and_rides() -> None:
    whole, hourly = City(drivers=30, chunk_hours=24), City(drivers=30, chunk_hours=1)
    assert whole.labels(0).equals(hourly.labels(0))
    assert len(list(hourly.landings(1))) == 24
    ids = [set(pl.concat([landing.truth for landing in city.landings(2)])["event_id"]) for city in (whole, hourly)]
    assert len(ids[0] ^ ids[1]) < 0.01 * len(ids[0])


@pytest.mark.parametrize("drivers", [1, 2, 7])
def test_a_tiny_fleet_is_simulated(tmp_path: Path, drivers: int) -> None:
    written = City(drivers=drivers, ping_interval_s=3600).write(tmp_path, 2)
    assert written.document_rows == 2 * drivers
    assert written.files == 12


def test_drivers_join_and_leave_and_inspections_expire() -> None:
    city = City(drivers=1000)
    days = [city.documents(day) for day in (0, 10)]
    before, after = (set(papers["driver_id"]) for papers in days)
    assert len(after - before) > 0
    assert len(before - after) > 0
    for day, papers in zip((0, 10), days, strict=True):
        assert papers["driver_id"].is_unique().all()
        assert (papers["inspection_passed_on"] <= city.date(day)).all()
        assert (papers["onboarded_on"] <= papers["inspection_passed_on"]).all()
        expires_on = pl.col("inspection_passed_on") + pl.duration(days="inspection_valid_days")
        assert 0 < papers.filter(expires_on < city.date(day)).height < 200
    assert set(days[1]["document_status"]) == {"approved", "pending", "rejected"}
    renewed = days[0].join(days[1], on="driver_id", suffix="_after")
    assert (renewed["inspection_passed_on_after"] > renewed["inspection_passed_on"]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is not negative"),
        ({"drivers": 0}, "drivers is from 1"),
        ({"chunk_hours": 5}, "chunk_hours divides 24"),
        ({"ping_interval_s": 7}, "whole number of ping_interval_s"),
        ({"start": "yesterday"}, "Invalid isoformat"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        City(**arguments)


def test_days_before_the_start_are_refused() -> None:
    with pytest.raises(ValueError, match="days count from 0"):
        City(drivers=5).pings(-1)


def test_command_line_prints_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--days", "1", "--drivers", "20", "--ping-interval-s", "60", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    assert "6 landing files" in out
    assert "rides requested" in out
    assert (tmp_path / "landing/driver_documents/driver_documents_2026-01-05.csv").exists()
