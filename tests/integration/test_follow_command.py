"""``headrace ingest --follow`` as a process: what it prints, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from tests.ingesting import lines, pings

FEATURES = """
import headrace as hr
gps = hr.EventSource(
    "gps", schema={"event_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp}, event_time="ts",
    dedupe_on="event_id", stream=hr.Files("in/*.jsonl"),
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "headrace.toml").write_text('name = "city"\n')
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "in").mkdir()
    put(tmp_path, range(10))
    return tmp_path


def put(folder: Path, numbers: range) -> None:
    with (folder / "in" / "a.jsonl").open("ab") as file:
        file.write(lines(pings(numbers)))


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
    command = [sys.executable, "-m", "headrace", "ingest", "gps", *options]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@contextmanager
def following(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = started(folder, "--follow", "--epoch", "0.2")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(folder: Path, rows: int) -> None:
    deadline = time.monotonic() + 30
    while ids(folder) != rows:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ids(folder: Path) -> int:
    table = folder / "lake" / "silver" / "gps"
    return pl.scan_delta(table).collect()["event_id"].n_unique() if (table / "_delta_log").is_dir() else 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_follows_until_it_is_asked_to_stop(folder: Path, number: signal.Signals) -> None:
    with following(folder) as process:
        wait_for(folder, 10)
        put(folder, range(10, 15))
        wait_for(folder, 15)
        process.send_signal(number)
        out, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "gps: 10 records through epoch 1" in said
    assert "epochs" in out
    assert [int(word) for word in out.split() if word.isdigit()][1:3] == [15, 15]  # read, accepted


def test_another_one_is_refused(folder: Path) -> None:
    with following(folder):
        wait_for(folder, 10)
        other = started(folder, "--follow", "--until-idle")
        _, said = other.communicate(timeout=30)
    assert other.returncode == 1
    assert "follow-gps is already running in process" in said


def test_until_idle_ends_by_itself(folder: Path) -> None:
    process = started(folder, "--follow", "--until-idle")
    process.communicate(timeout=30)
    assert (process.returncode, ids(folder)) == (0, 10)


@pytest.mark.parametrize(
    ("options", "said"), [(["--follow", "--rebuild"], "--rebuild makes silver"), (["--reset"], "go with --follow")]
)
def test_options_that_do_not_fit_are_refused(folder: Path, options: list[str], said: str) -> None:
    process = started(folder, *options)
    assert said in process.communicate(timeout=30)[1]
    assert process.returncode == 2
