"""Ten cases that a stream has to get right, each by its name."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.errors import ConflictError, RejectedError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.types import SECOND
from tests.streaming import ROOT, START, online, pings, project, run, streamed_steps, truth, write

WINDOW = """
in_window = hr.FeatureView("in_window", entity=driver, source=gps, features={"n": hr.count(window=hr.tumbling("5s"))})
windows = hr.FeatureService("windows", features=[in_window])
"""
PACE = Pace(0.0, 500, snapshot_seconds=0.0, every_step=True, until_idle=True, idle_seconds=3600)


def ping(number: int, second: float, known: float | None = None, driver: int = 1) -> dict[str, Any]:
    """A ping of some second, known at another."""
    happened, seen = (START + int(at * SECOND) for at in (second, second if known is None else known))
    return {"event_id": f"e{number}", "driver_id": driver, "zone": "z", "ts": happened, "speed": 1.0, "seen_at": seen}


def at(platform: Platform, second: float, service: str = "windows", name: str = "in_window__n") -> Any:
    """What driver 1 has at a second."""
    return online(platform, service, {"driver_id": [1]}, START + int(second * SECOND))[name][0]


def steps_are_right(platform: Platform, rows: list[Any], views: tuple[str, ...] = ("driver_now", "zone_now")) -> None:
    """All final steps came once, and are those of the rows."""
    cut = platform.stream_status()[0].cut
    for view in views:
        wanted = truth(platform, view, rows).filter(pl.col("valid_from").dt.epoch("us") < cut)
        keys = wanted.columns[:2]
        assert_frame_equal(streamed_steps(platform, view).select(wanted.columns).sort(keys), wanted.sort(keys))


def stored(root: Path) -> dict[bytes, bytes]:
    """Every record in the online store."""
    return {key: value for key, value in Platform.open(root).context.online.scan(b"r")}  # noqa: C416 - bytes to bytes


def test_case_1_a_late_row_counts_while_its_window_holds_it(tmp_path: Path) -> None:
    platform = project(tmp_path, more=WINDOW)
    rows = [ping(i, second) for i, second in enumerate((10, 11, 12, 13, 14, 15))]
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", PACE)
    assert [at(platform, s) for s in (24.9, 25, 26.1, 29.9)] == [0, 5, 5, 5]
    late = ping(9, 10, known=26)
    write(tmp_path, "a.jsonl", [late])
    platform.stream("gps", PACE)
    assert [at(platform, s) for s in (26.000001, 29.9, 30, 34.9)] == [6, 6, 1, 1]
    assert platform.stream_status()[0].late == 1
    write(tmp_path, "a.jsonl", [ping(10, 60)])
    platform.stream("gps", PACE)
    steps_are_right(platform, [*rows, late, ping(10, 60)], ("in_window",))


def test_case_2_an_idle_partition_holds_the_watermark_only_until_its_timeout(tmp_path: Path) -> None:
    platform, pace = project(tmp_path), Pace(0.0, 500, every_step=False, until_idle=True, idle_seconds=0.5)
    write(tmp_path, "a.jsonl", [ping(1, 100)])
    write(tmp_path, "b.jsonl", [ping(2, 20, driver=2)])
    platform.stream("gps", pace)
    held = platform.stream_status()[0].cut
    assert held == START + 10 * SECOND  # the slower one's, less max_lateness
    time.sleep(0.7)
    write(tmp_path, "a.jsonl", [ping(3, 200)])
    platform.stream("gps", pace)
    moved = platform.stream_status()[0].cut
    assert moved == START + 190 * SECOND
    write(tmp_path, "b.jsonl", [ping(4, 30, driver=1)])
    platform.stream("gps", pace)
    assert platform.stream_status()[0].cut >= moved
    assert at(platform, 300, "model", "driver_now__n") == 3


def test_case_3_partitions_an_hour_apart_lose_nothing(tmp_path: Path) -> None:
    platform = project(tmp_path)
    early, late = pings(700, seed=1), pings(700, seed=2, start=START + 3600 * SECOND)
    write(tmp_path, "a.jsonl", late)
    write(tmp_path, "b.jsonl", early)
    platform.stream("gps", PACE)
    assert platform.stream_status()[0].cut < START + 3600 * SECOND
    write(tmp_path, "b.jsonl", [ping(1, 7200)])
    platform.stream("gps", PACE)
    steps_are_right(platform, [*early, *late, ping(1, 7200)])


def test_case_4_a_kill_between_sinks_and_commit_writes_the_same_bytes_again(tmp_path: Path) -> None:
    rows = pings(2500, seed=4)
    for name in ("killed", "whole"):
        project(tmp_path / name)
        write(tmp_path / name, "a.jsonl", rows)
    assert run(tmp_path / "killed", crash_at="before commit:3").returncode == -9
    for name in ("killed", "whole"):
        assert run(tmp_path / name).returncode == 0
    assert stored(tmp_path / "killed") == stored(tmp_path / "whole")
    steps_are_right(Platform.open(tmp_path / "killed"), rows)


def test_case_5_a_kill_in_a_snapshot_or_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(2500, seed=5)
    write(tmp_path, "a.jsonl", rows)
    assert run(tmp_path, crash_at="after snapshot:4").returncode == -9
    newest = max((tmp_path / "lake" / "state" / "streams" / "gps" / "snapshots").iterdir())
    next(newest.glob("*.parquet")).write_bytes(b"torn")
    platform.stream("gps", PACE)
    steps_are_right(platform, rows)


def test_case_6_a_restart_restores_the_watermark(tmp_path: Path) -> None:
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", [ping(1, 100)])
    platform.stream("gps", PACE)
    cut = platform.stream_status()[0].cut
    write(tmp_path, "a.jsonl", [ping(2, 40, known=101)])
    platform.stream("gps", PACE)
    status = platform.stream_status()[0]
    assert status.cut >= cut
    assert status.late == 1
    assert at(platform, 102, "model", "driver_now__n") == 2


def test_case_7_a_paused_stream_is_not_overtaken_and_after_its_end_another_goes_on(tmp_path: Path) -> None:
    platform, rows = project(tmp_path, sinks="online"), pings(600, seed=7)
    write(tmp_path, "a.jsonl", rows[:300])
    command = [sys.executable, "-m", "headrace", "stream", "--project", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as paused:
        while not platform.stream_status() or platform.stream_status()[0].epoch < 1:
            time.sleep(0.05)
        paused.send_signal(signal.SIGSTOP)
        with pytest.raises(ConflictError, match=f"already running in process {paused.pid}"):
            platform.stream("gps", PACE)
        paused.kill()
    write(tmp_path, "a.jsonl", rows[300:])
    platform.stream("gps", PACE)
    counted = online(platform, "model", {"driver_id": list(range(40))}, START + 3600 * SECOND)["driver_now__n"]
    assert sum(n or 0 for n in counted) == len({row["event_id"] for row in rows})


def test_case_8_poison_is_quarantined_with_its_place_and_reason_and_much_of_it_stops(tmp_path: Path) -> None:
    platform, rows = project(tmp_path), pings(300, seed=8)
    write(tmp_path, "a.jsonl", rows[:100])
    place = (tmp_path / "in" / "a.jsonl").stat().st_size
    with (tmp_path / "in" / "a.jsonl").open("ab") as file:
        file.write(b"poison\n")
    write(tmp_path, "a.jsonl", rows[100:])
    platform.stream("gps", PACE)
    kept = platform.context.lake.table("streamed", "gps-quarantine").scan().collect().to_dicts()
    assert [(row["_hr_file"], row["_hr_row"], row["reasons"]) for row in kept] == [
        ("in/a.jsonl", place, ["unparsable line"])
    ]
    steps_are_right(platform, rows)
    with (tmp_path / "in" / "a.jsonl").open("ab") as file:
        file.write(b"poison\n" * 2_000)
    with pytest.raises(RejectedError, match="are refused"):
        platform.stream("gps", Pace(0.0, 5_000, until_idle=True))


def test_case_9_a_partition_that_comes_in_the_middle_is_read_once(tmp_path: Path) -> None:
    platform, rows = project(tmp_path, sinks="online"), pings(900, seed=9)
    write(tmp_path, "a.jsonl", rows[:300])
    platform.stream("gps", PACE)
    write(tmp_path, "a.jsonl", rows[300:600])
    write(tmp_path, "new.jsonl", rows[600:])
    assert run(tmp_path, "200", crash_at="after plan:2").returncode == -9
    assert run(tmp_path, "200").returncode == 0
    counted = online(platform, "model", {"driver_id": list(range(40))}, START + 3600 * SECOND)["driver_now__n"]
    assert sum(n or 0 for n in counted) == len({row["event_id"] for row in rows})


def test_case_10_an_event_of_2099_is_quarantined_and_moves_no_watermark(tmp_path: Path) -> None:
    platform = project(tmp_path)
    far = ping(2, 73 * 365 * 86_400, known=101)
    write(tmp_path, "a.jsonl", [ping(1, 100), far, ping(3, 110)])
    platform.stream("gps", PACE)
    status = platform.stream_status()[0]
    assert (status.rejected, status.cut) == (1, START + 100 * SECOND)
    assert at(platform, 120, "model", "driver_now__n") == 2
