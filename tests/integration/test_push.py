"""Rows pushed into the embedded log: judged, durable, read by the stream, and served as the batch lane has them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.errors import DefinitionError, SourceError, StreamError, UnknownNameError
from headrace.platform import Platform
from headrace.platform.push_report import PushRefusedError
from headrace.platform.stream_pace import Pace
from headrace.types import SECOND
from tests.integration.disks import nearly_full, small_disk
from tests.streaming import ROOT, START, as_json, online, pings, project, streamed_steps, truth

ONCE = Pace(0.0, 700, snapshot_seconds=0.05, every_step=True, until_idle=True, idle_seconds=3600)


def as_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pings as a client has them: times with their zone."""
    times = ("ts", "seen_at")
    return [{**row, **{name: datetime.fromtimestamp(row[name] / SECOND, UTC) for name in times}} for row in rows]


def logged(root: Path) -> list[dict[str, Any]]:
    """Every whole line of the log."""
    files = sorted((root / "in").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_bytes().split(b"\n")[:-1]]


@contextmanager
def running(platform: Platform, pace: Pace) -> Iterator[None]:
    """The stream in a thread of its own."""
    ended = threading.Event()
    thread = threading.Thread(target=lambda: platform.stream("gps", pace, stop=ended.is_set))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(60)


def test_late_and_repeated_pushes_give_the_values_of_the_batch_lane(tmp_path: Path) -> None:
    platform = project(tmp_path)
    rows = pings(1200)
    report = platform.push("gps", as_rows(rows[:700]))
    assert (report.rows, report.readable) == (700, None)
    platform.stream("gps", ONCE)
    platform.push("gps", as_rows(rows[700:]))
    platform.push("gps", as_rows(rows[650:800]))  # a client that saw no answer tries again
    platform.stream("gps", ONCE)
    cut = platform.stream_status()[0].cut
    for view, key in (("driver_now", "driver_id"), ("zone_now", "zone")):
        wanted = truth(platform, view, rows).filter(pl.col("valid_from").dt.epoch("us") < cut)
        found = streamed_steps(platform, view).select(wanted.columns).sort([key, "valid_from"])
        assert_frame_equal(found, wanted.sort([key, "valid_from"]), rel_tol=1e-12)


def test_a_push_waits_for_its_own_rows_while_the_stream_runs(tmp_path: Path) -> None:
    platform = project(tmp_path, sinks="online")
    (tmp_path / "in").mkdir()
    row = as_rows(pings(1))[0]
    with running(platform, Pace(0.05)):
        while not platform.stream_status():
            time.sleep(0.02)
        for number in range(5):
            report = platform.push("gps", [{**row, "event_id": str(number)}], wait_seconds=20)
            assert report.readable, report
            found = online(platform, "model", {"driver_id": [row["driver_id"]]}, START + 60 * SECOND)
            assert found["driver_now__n"] == [number + 1]


def test_without_a_stream_it_is_said_at_once_that_nothing_can_be_read(tmp_path: Path) -> None:
    platform = project(tmp_path)
    report = platform.push("gps", as_rows(pings(2)), wait_seconds=30)
    assert report.readable is False
    assert report.waited_seconds < 5
    assert "headrace stream --source gps" in report.reason
    platform.stream("gps", ONCE)
    assert platform.push("gps", [], wait_seconds=0).readable
    report = platform.push("gps", as_rows(pings(2, 2)), wait_seconds=30)
    assert "it is stopped" in report.reason


def test_each_refused_row_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    platform = project(tmp_path)
    good = as_rows(pings(1))[0]
    bad = [
        good,
        {**good, "speed": "fast"},
        {**good, "speed": 71.0},
        {**good, "event_id": None},
        {**good, "ts": datetime(2999, 1, 1, tzinfo=UTC)},
        {**good, "ts": "2026-01-05 08:00:00"},
        {**good, "driver_id": 2**70},
        {**good, "speed": float("nan")},
        "no row",
        {**good, "zone": object()},
        {**good, "zone": "x" * 600_000},
        {**good, "driver_id": 2**63},
        {**good, "speed": np.float32("nan")},
        {**good, "zone": [1.0, float("inf")]},
        {**good, "event_id": "numpy", "driver_id": np.int64(7), "speed": np.float32(0.5)},
    ]
    with pytest.raises(PushRefusedError, match="13 of 15 rows are refused, and nothing was written") as caught:
        platform.push("gps", bad)
    told = {(each.row, each.column): each.reason for each in caught.value.refused}
    assert told == {
        (2, "speed"): "wrong type",
        (3, "speed"): "speed between 0 and 70",
        (4, "event_id"): "null",
        (5, "ts"): "later than its arrival",
        (6, "ts"): "naive time",
        (7, "driver_id"): "out of range",
        (8, "speed"): "no finite number",
        (9, ""): "no row: an object of columns is needed",
        (10, "zone"): "no value that can be written",
        (11, ""): "longer than 524,288 bytes",
        (12, "driver_id"): "out of range",
        (13, "speed"): "no value that can be written",
        (14, "zone"): "no finite number",
    }
    assert logged(tmp_path) == []
    report = platform.push("gps", bad, partial=True)
    assert (report.rows, report.refused_rows, len(report.refused)) == (2, 13, 13)
    assert [row["event_id"] for row in logged(tmp_path)] == [good["event_id"], "numpy"]


def test_frames_and_files_are_pushed_as_rows_are(tmp_path: Path) -> None:
    platform = project(tmp_path)
    rows = pings(20)
    platform.push("gps", pl.DataFrame(as_rows(rows)))
    platform.push("gps", pl.DataFrame(as_rows(rows)).to_pandas())
    platform.push("gps", pl.DataFrame(as_rows(rows)).to_arrow())
    platform.push("gps", {name: [row[name] for row in as_rows(rows)] for name in rows[0]})
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"\r\n".join(map(as_json, rows)))
    platform.push("gps", file)
    found = logged(tmp_path)
    assert len(found) == 5 * len(rows)
    assert [{row["event_id"]: row["speed"] for row in found[at :: len(rows)]} for at in range(len(rows))] == [
        {row["event_id"]: row["speed"]} for row in rows
    ]
    platform.stream("gps", ONCE)
    assert platform.stream_status()[0].rejected == 0
    with pytest.raises(SourceError, match="can't be read"):
        platform.push("gps", tmp_path / "nothing.jsonl")
    with pytest.raises(SourceError, match="list of dicts"):
        platform.push("gps", 7)


def test_columns_that_are_missing_or_not_declared_are_told(tmp_path: Path) -> None:
    platform = project(tmp_path)
    row = as_rows(pings(1))[0]
    del row["zone"]
    report = platform.push("gps", [{**row, "colour": "red"}] * 150)
    assert report.undeclared == {"colour": ""}
    assert report.absent == ("zone",)
    platform.stream("gps", ONCE)  # 150 rows of an epoch without a column would stop it: so it was written as null
    with pytest.raises(PushRefusedError, match="no column 'Zone', and no row has 'zone'"):
        platform.push("gps", [{**row, "Zone": "z1"}])
    report = platform.push("gps", [{**row, "zone": "z", "zones": 1}])
    assert report.undeclared == {"zones": "zone"}


def test_a_source_that_can_not_be_pushed_to_says_what_to_do(tmp_path: Path) -> None:
    platform = project(
        tmp_path,
        more="""
plain = hr.EventSource("plain", schema={"id": hr.String, "ts": hr.Timestamp}, event_time="ts")
avro = hr.EventSource(
    "avro", schema={"id": hr.String, "ts": hr.Timestamp}, event_time="ts", stream=hr.Kafka("t", format="avro"))
topic = hr.EventSource("topic", schema={"id": hr.String, "ts": hr.Timestamp}, event_time="ts", stream=hr.Kafka("t"))
one = hr.EventSource("one", schema={"id": hr.String, "ts": hr.Timestamp}, event_time="ts", stream=hr.Files("a.jsonl"))
rides = hr.ChangeSource(
    "rides", schema={"id": hr.String, "ts": hr.Timestamp}, event_time="ts", primary_key="id",
    stream=hr.Debezium("rides"))
""",
    )
    row = {"id": "a", "ts": "2026-01-05T08:00:00Z"}
    for source, told in (
        ("plain", "has no stream"), ("avro", "is avro"), ("one", r"with a \*"), ("rides", "changes of a table"),
    ):  # fmt: skip
        with pytest.raises(DefinitionError, match=told):
            platform.push(source, [row])
    with pytest.raises(Exception, match='set kafka = "host:9092"'):
        platform.push("topic", [row])
    with pytest.raises(UnknownNameError, match="Did you mean 'gps'"):
        platform.push("gsp", [row])


def test_values_are_written_as_the_reader_of_the_stream_expects_them(tmp_path: Path) -> None:
    more = """
all = hr.EventSource(
    "all", event_time="at", stream=hr.Files("all/*.jsonl"),
    schema={"at": hr.Timestamp, "day": hr.Date, "fee": hr.Decimal(10, 2), "token": hr.Binary, "ok": hr.Bool,
            "n": hr.Int32, "xs": hr.List(hr.Int64), "v": hr.Vector(hr.Float32, 2)})
"""
    platform = project(tmp_path, more=more)
    row = {
        "at": datetime(2026, 1, 5, 8, 0, 0, 1, tzinfo=UTC), "day": datetime(2026, 1, 5, tzinfo=UTC).date(),
        "fee": Decimal("1.10"), "token": b"ab", "ok": True, "n": 3, "xs": [1, 2], "v": [0.5, 1.5],
    }  # fmt: skip
    platform.push("all", [row])
    platform.push("all", pl.DataFrame([row]))
    platform.follow("all", until_idle=True)
    silver = platform.context.lake.table("silver", "all").scan().select(list(row)).collect()
    assert silver.height == 2
    assert silver.cast({"v": pl.List(pl.Float64)}).to_dicts() == [row, row]


def start(root: Path, name: str) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    command = [sys.executable, "-m", "tests.integration.push_child", str(root), name]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, text=True, stdout=subprocess.PIPE
    )


def killed_after(process: subprocess.Popen[str], seconds: float) -> set[str]:
    """What was acknowledged before it was killed."""
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate(timeout=30)
    lines = [line for line in (first + rest).split("\n")[:-1] if line]
    return {each for line in lines for each in line.split()}


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.thorough)])
def test_nothing_acknowledged_is_lost_when_pushers_are_killed(tmp_path: Path, rounds: int) -> None:
    platform = project(tmp_path, sinks="online")
    acknowledged = set[str]()
    for number in range(rounds):
        both = [start(tmp_path, f"{number}-{each}") for each in "ab"]
        for process in both:
            acknowledged |= killed_after(process, 0.15 + 0.05 * number)
        (file,) = (tmp_path / "in").glob("*.jsonl")
        with file.open("ab") as torn:
            torn.write(b'{"event_id": "torn')  # as a kill within a write leaves it
    platform.push("gps", as_rows(pings(1)))
    found = [row["event_id"] for row in logged(tmp_path)]
    assert acknowledged <= set(found)
    assert len(set(found)) == len(found)
    assert len(acknowledged) > 10
    platform.stream("gps", ONCE)
    assert platform.stream_status()[0].rejected == 0


def test_a_full_disk_refuses_whole_pushes(tmp_path: Path) -> None:
    platform = project(tmp_path, sinks="online")
    folder = tmp_path / "in"
    with small_disk(folder, "2m"):
        platform.push("gps", as_rows(pings(10)))
        with nearly_full(folder, 40_000), pytest.raises(StreamError, match="No space left"):
            platform.push("gps", as_rows(pings(5000)))
        written = logged(tmp_path)
        assert len(written) == len(pings(10))
        platform.push("gps", as_rows(pings(20, 2)))
        assert len(logged(tmp_path)) == len(pings(10)) + len(pings(20, 2))
