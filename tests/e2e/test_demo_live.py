"""The live demo as a user runs it, with a small city: what it says is right, and nothing that it started is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_platform.stack.maven import HOME_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.thorough, pytest.mark.kafka]
VIEWS = {"driver_now", "cell_demand", "city_wait", "driver_wait", "driver_rating"}
SMALL = ("--drivers", "400", "--ping-seconds", "4")


@pytest.fixture(autouse=True)
def programs(kafka_home: Path, redis_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert redis_server
    monkeypatch.setenv(HOME_VARIABLE, str(kafka_home))
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))  # so that what runs in it is known by its command line


def live(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "data_platform.live", *SMALL, *arguments]


def left_running(folder: Path) -> list[str]:
    """The command lines of processes that name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = os.fsdecode(entry.read_bytes()).replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_what_is_served_live_is_what_was_sent(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    done = subprocess.run(
        live("--seconds", "20", "--folder", str(folder)), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads((folder / "outcome.json").read_text())
    assert outcome["found"] == outcome["expected"]
    assert all(count > 0 for counts in outcome["expected"].values() for count in counts.values())
    assert {view["view"] for view in outcome["views"]} == VIEWS
    assert all(view["present"] > 0 for view in outcome["views"])
    assert [view["different"] for view in outcome["views"]] == [0] * len(VIEWS)
    fresh = outcome["freshness"]["sent to read"]
    assert fresh["count"] > 50
    assert 0 < fresh["p50"] < 10  # of a machine that is busy with other tests
    assert outcome["url"] in done.stdout
    assert left_running(tmp_path) == []
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_demo_ends_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    told = tmp_path / "told.txt"
    with told.open("wb") as file:
        process = subprocess.Popen(live("--seconds", "120"), stdout=file, stderr=file)
        try:
            deadline = time.monotonic() + 120
            while " 1 s " not in told.read_text() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
            ran = left_running(tmp_path / "scratch")
            process.send_signal(number)
            code = process.wait(60)
        finally:
            process.kill()
            process.wait()
    assert len(ran) == 3, (ran, told.read_text())  # Kafka, Redis and the stream
    assert code == 130, told.read_text()
    assert "Interrupted" in told.read_text()
    assert left_running(tmp_path) == []
    assert list((tmp_path / "scratch").iterdir()) == []
