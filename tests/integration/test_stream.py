"""Streams over files that grow: the same steps and values as in batch, through kills, losses and changes of mind."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

from headrace.errors import ConflictError, DefinitionError, RejectedError, StateError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.types import SECOND
from tests.streaming import FEATURES, START, online, pings, project, run, streamed_steps, truth, write

KEYS = {"driver_now": "driver_id", "zone_now": "zone"}
ONCE = Pace(0.0, 700, snapshot_seconds=0.05, every_step=True, until_idle=True, idle_seconds=3600)
CRASHES = [
    "after plan:3", "after online records:4", "before streamed commit:3", "after streamed commit:3", "before commit:3",
    "after commit:3", "after snapshot:2", "after snapshot:4",
]  # fmt: skip


def test_rows_that_count_from_later_than_the_cut_are_served_however_many(tmp_path: Path) -> None:
    """A partition that is ahead of another: what it has is more than its windows, and is kept as steps."""
    platform = project(tmp_path)
    sent = pings(600, every_us=SECOND)
    rows = [row | {"driver_id": 1 + (number != 30), "zone": "z"} for number, row in enumerate(sent)]
    write(tmp_path, "a.jsonl", rows[30:31])
    write(tmp_path, "b.jsonl", rows[:30] + rows[31:])
    platform.stream("gps", ONCE)
    assert platform.stream_status()[0].cut < rows[30]["seen_at"]
    assert_online_right(platform, rows)


def assert_steps_right(platform: Platform, rows: list[Any]) -> None:
    """Each step before the stream's cut came once, and is that of the rows themselves."""
    cut = platform.stream_status()[0].cut
    for view, key in KEYS.items():
        wanted = truth(platform, view, rows).filter(pl.col("valid_from").dt.epoch("us") < cut)
        found = streamed_steps(platform, view).select(wanted.columns).sort([key, "valid_from"])
        assert wanted.height > 100
        assert_frame_equal(found, wanted.sort([key, "valid_from"]), rel_tol=1e-12)


def assert_online_right(platform: Platform, rows: list[Any], after: int = 0) -> None:
    """What is served at some times from the last row on is what the rows say."""
    last = max(row["seen_at"] for row in rows)
    for view, service, key in (("driver_now", "model", "driver_id"), ("zone_now", "zones", "zone")):
        steps = truth(platform, view, rows).with_columns(pl.col("valid_from").dt.epoch("us").alias("from"))
        keys = sorted({row[key] for row in rows})
        for at in (last + 1, last + 31 * SECOND, last + 200 * SECOND, last + 3600 * SECOND + after):
            in_force = steps.filter(pl.col("from") <= at).sort("from").unique(key, keep="last")
            wanted = pl.DataFrame({key: keys}).join(in_force, on=key, how="left", maintain_order="left")
            found = online(platform, service, {key: keys}, at)
            for name, values in found.items():
                right = wanted[name.split("__")[1]].alias(name)
                assert_series_equal(pl.Series(name, values, dtype=right.dtype), right, rel_tol=1e-12)


def test_steps_and_values_are_those_of_the_rows(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(4000)
    write(tmp_path, "a.jsonl", rows[:2500])
    write(tmp_path, "b.jsonl", rows[2500:3000])
    platform.stream("gps", ONCE)
    write(tmp_path, "b.jsonl", rows[3000:])
    platform.stream("gps", ONCE)
    assert_steps_right(platform, rows)
    assert_online_right(platform, rows)
    status = platform.stream_status()[0]
    assert (status.events, status.lag_offsets, status.condition) == (len(rows) - 3000, 0, "stopped")
    assert status.epoch == status.snapshot_epoch


@pytest.mark.parametrize(
    "crash_at", [*CRASHES[:2], *(pytest.param(point, marks=pytest.mark.thorough) for point in CRASHES[2:])]
)
def test_a_kill_loses_and_doubles_nothing(tmp_path: Path, crash_at: str) -> None:
    platform, rows = project(tmp_path), pings(3000, seed=7)
    write(tmp_path, "a.jsonl", rows)
    killed = run(tmp_path, crash_at=crash_at)
    assert killed.returncode == -9, killed.stderr
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    assert_steps_right(platform, rows)
    assert_online_right(platform, rows)


def test_rows_that_come_in_any_order_give_the_right_values_now(tmp_path: Path) -> None:
    platform, rows = project(tmp_path, arrival=False, sinks="online"), pings(3000, seed=3)
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", Pace(0.0, 500, until_idle=True))
    for row in rows:
        row["seen_at"] = row["ts"]
    assert_online_right(platform, rows, after=0)


def test_a_store_that_was_emptied_is_written_again(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(1500, seed=4)
    write(tmp_path, "a.jsonl", rows[:1000])
    platform.stream("gps", ONCE)
    shutil.rmtree(tmp_path / "online")
    write(tmp_path, "a.jsonl", rows[1000:])
    told: list[str] = []
    Platform.open(tmp_path).stream("gps", ONCE, tell=told.append)
    assert any("lost data" in text for text in told)
    assert_online_right(Platform.open(tmp_path), rows)


def test_a_damaged_snapshot_is_told_of_and_an_older_one_taken(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(2500, seed=5)
    write(tmp_path, "a.jsonl", rows)
    assert run(tmp_path, crash_at="after commit:4").returncode == -9
    snapshots = sorted((tmp_path / "lake" / "state" / "streams" / "gps" / "snapshots").iterdir())
    assert len(snapshots) > 1
    file = next(snapshots[-1].glob("driver_now~rows.parquet"), None) or next(snapshots[-1].glob("*written.parquet"))
    file.write_bytes(file.read_bytes()[:-20])
    told: list[str] = []
    platform.stream("gps", ONCE, tell=told.append)
    assert any("An older snapshot is taken" in text for text in told)
    assert_steps_right(platform, rows)
    assert_online_right(platform, rows)


def test_without_any_snapshot_and_with_a_later_log_it_stops_and_says_what_to_do(tmp_path: Path) -> None:
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", pings(3000))
    platform.stream("gps", ONCE)
    shutil.rmtree(tmp_path / "lake" / "state" / "streams" / "gps" / "snapshots")
    write(tmp_path, "a.jsonl", pings(10, seed=2))
    log = tmp_path / "lake" / "state" / "streams" / "gps" / "epochs.log"
    if '"plan":1,' not in log.read_text():
        log.write_text(log.read_text())
    with pytest.raises(StateError, match="--reset"):
        platform.stream("gps", ONCE)


def test_two_streams_of_a_source_do_not_run_at_once(tmp_path: Path) -> None:
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", pings(10))
    with platform.context.lake.lock("stream-gps"), pytest.raises(ConflictError, match="already running"):
        platform.stream("gps", ONCE)


def test_poison_is_put_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(1200, seed=6)
    write(tmp_path, "a.jsonl", rows[:600])
    with (tmp_path / "in" / "a.jsonl").open("ab") as file:
        file.write(b'{"torn\n\xff\xfe\n{"event_id": "fast", "driver_id": 1, "zone": "z1", "speed": 900.0, ')
        file.write(b'"ts": "2026-01-05T08:02:00Z", "seen_at": "2026-01-05T08:02:00Z"}\n')
        file.write(b'{"event_id": "future", "driver_id": 1, "zone": "z1", "speed": 1.0, ')
        file.write(b'"ts": "2099-01-05T08:02:00Z", "seen_at": "2026-01-05T08:02:00Z"}\n')
    write(tmp_path, "a.jsonl", rows[600:])
    platform.stream("gps", ONCE)
    kept = platform.context.lake.table("streamed", "gps-quarantine").scan().collect()
    assert kept.height == 4 == platform.stream_status()[0].rejected
    assert kept["_hr_file"].unique().to_list() == ["in/a.jsonl"]
    assert platform.stream_status()[0].cut < START + 3600 * SECOND
    assert_steps_right(platform, rows)


def test_too_much_poison_stops_the_stream_before_anything_of_it_is_written(tmp_path: Path) -> None:
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", [{**row, "speed": 900.0} for row in pings(2000)])
    with pytest.raises(RejectedError, match=r"of the last .* records .* are refused.*Mend"):
        platform.stream("gps", Pace(0.0, 2000, until_idle=True))
    status = platform.stream_status()[0]
    assert (status.condition, status.epoch) == ("failed", 0)
    assert "are refused" in status.why


def test_refused_rows_and_steps_of_a_stream_that_begins_anew_are_kept_too(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(2000)
    for number, part in enumerate((rows[:1500], rows[1500:])):
        write(tmp_path, "a.jsonl", [*part, {**part[-1], "event_id": f"bad-{number}", "speed": 1000.0}])
        platform.stream("gps", ONCE, reset=bool(number))
    kept = platform.context.lake.table("streamed", "gps-quarantine").scan().collect()
    assert kept["_hr_row"].n_unique() == 2
    assert_steps_right(platform, rows)


def test_a_source_that_is_defined_otherwise_is_refused_until_it_begins_anew(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(1000)
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", ONCE)
    text = (tmp_path / "features.py").read_text()
    (tmp_path / "features.py").write_text(text.replace('dedupe_within="1h"', 'dedupe_within="2h"'))
    changed = Platform.open(tmp_path)
    changed.apply()
    with pytest.raises(StateError, match=r"defined otherwise.*--reset"):
        changed.stream("gps", ONCE)
    changed.stream("gps", ONCE, reset=True)
    assert_steps_right(changed, rows)
    assert_online_right(changed, rows)


def test_a_view_that_is_defined_anew_reads_the_log_and_the_others_go_on(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(2000, seed=9)
    write(tmp_path, "a.jsonl", rows[:1500])
    platform.stream("gps", ONCE)
    text = (tmp_path / "features.py").read_text()
    (tmp_path / "features.py").write_text(text.replace('hop="1m"', 'hop="30s"'))
    changed = Platform.open(tmp_path)
    changed.apply()
    write(tmp_path, "a.jsonl", rows[1500:])
    told: list[str] = []
    changed.stream("gps", ONCE, tell=told.append)
    assert any(text.startswith("zone_now: begins") for text in told)
    assert_online_right(changed, rows)


def test_what_is_published_is_gone_on_from_and_then_written_by_the_stream_alone(tmp_path: Path) -> None:
    platform, rows = project(tmp_path, sinks="online"), pings(3000, seed=11)
    write(tmp_path, "day.jsonl", rows[:2000], "landing")
    platform.ingest()
    for view in KEYS:
        platform.backfill(view, START - 3600 * SECOND, START + 400 * SECOND)
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", Pace(0.0, 900, until_idle=True))
    assert [view.loaded_publication for view in platform.stream_status()[0].views] == [1, 1]
    assert_online_right(platform, rows)
    platform.backfill("driver_now", START + 400 * SECOND, START + 450 * SECOND)
    assert_online_right(platform, rows)
    with pytest.raises(DefinitionError, match="written online by the stream"):
        platform.materialize("driver_now")


def test_a_rollback_is_served_while_the_view_is_held_and_its_release_reads_on(tmp_path: Path) -> None:
    platform, rows = project(tmp_path, sinks="online"), pings(3000, seed=12)
    write(tmp_path, "day.jsonl", rows, "landing")
    platform.ingest()
    cuts = [START + seconds * SECOND for seconds in (-3600, 200, 500)]
    for since, until in pairwise(cuts):
        platform.backfill("driver_now", since, until)
    write(tmp_path, "a.jsonl", rows)
    paced = Pace(0.0, 900, until_idle=True)
    platform.stream("gps", paced)
    platform.rollback("driver_now", 1)
    platform.stream("gps", paced)
    early = [row for row in rows if row["seen_at"] < cuts[1]]
    steps = truth(platform, "driver_now", early).filter(pl.col("driver_id") == 5).sort("valid_from")
    later = START + 4000 * SECOND
    assert online(platform, "model", {"driver_id": [5]}, later)["driver_now__n"] == [steps["n"][-1]]
    platform.release("driver_now")
    platform.stream("gps", paced)
    assert_online_right(platform, rows)


def test_entities_whose_records_have_expired_are_forgotten(tmp_path: Path) -> None:
    more = (
        "quiet = hr.FeatureView('quiet', entity=driver, source=gps, features={'n': hr.count(window=hr.tumbling('1m'))})"
    )
    platform = project(tmp_path, more=more, sinks="online")
    pace = Pace(0.0, 500, until_idle=True, sweep_seconds=0)
    rows, later = pings(200), START + 100 * 86_400 * SECOND
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", pace)
    drivers = len({row["driver_id"] for row in rows})
    assert [view.entities for view in platform.stream_status()[0].views][::2] == [drivers, drivers]
    later_rows = [{**row, "ts": later + i, "seen_at": later + i, "event_id": f"l{i}"} for i, row in enumerate(rows[:5])]
    write(tmp_path, "a.jsonl", later_rows)
    platform.stream("gps", pace)
    entities = {view.view: view.entities for view in platform.stream_status()[0].views}
    assert entities["quiet"] == len({row["driver_id"] for row in later_rows}) < entities["driver_now"] == drivers


def test_a_source_without_a_stream_is_refused(tmp_path: Path) -> None:
    platform = project(tmp_path, stream="None")
    with pytest.raises(DefinitionError, match="has no stream"):
        platform.stream("gps")
    assert "stream=" in FEATURES
