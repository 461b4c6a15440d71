"""Streams whose state is on a full disk: they say which file and what to do, and lose and double nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import LakeError
from headrace.platform import Platform, stream_worker
from headrace.streaming.epochs import EpochLog, Logged, Plan
from headrace.types import SECOND
from tests.integration.disks import nearly_full, small_disk
from tests.integration.test_stream import ONCE, assert_online_right, assert_steps_right
from tests.streaming import as_json, pings, project, write

ROWS = pings(2500, seed=11)
FIRST = 1500
PAGE_BYTES = 4096
"""A disk in memory gives one more, or none: what fits into a file's last one is written although the disk is full."""
COMMIT_BYTES = 30
"""A line that says that an epoch is committed is longer."""
WIDE = replace(ONCE, most_rows=5_000)
"""With room in an epoch for all that is there."""


@pytest.fixture
def city(tmp_path: Path) -> Platform:
    """A project whose stream has read the first rows."""
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", ROWS[:FIRST])
    return platform


@pytest.fixture
def state(city: Platform) -> Iterator[Path]:
    """The folder of the stream's state, on a disk of its own."""
    folder = city.context.lake.folder("state", "streams", "gps")
    with small_disk(folder, "3m"):
        yield folder


def more(n: int, length: int) -> dict[str, list[dict[str, Any]]]:
    """The rest of the rows, in files with long names, which stand in the plan of the epoch that reads them."""
    rest = ROWS[FIRST:]
    short = {f"{number:02}{'x' * 200}.jsonl": rest[number * 20 :][:20] for number in range(n - 1)}
    return {**short, f"z{'z' * length}.jsonl": rest[(n - 1) * 20 :]}


def plan_bytes(folder: Path, files: dict[str, list[dict[str, Any]]], epoch: int) -> int:
    """How long the plan is of an epoch that reads files whole."""
    ranges = {f"in/{name}": (0, sum(len(as_json(row)) + 1 for row in rows)) for name, rows in files.items()}
    log = EpochLog(folder)
    log.plan(Plan(epoch, ranges, time.time_ns() // 1000, ("in/a.jsonl", *ranges)))
    log.close()
    return log.path.stat().st_size


def to_the_end_of_a_page(folder: Path, size: int, epoch: int) -> dict[str, list[dict[str, Any]]]:
    """Files whose plan ends, in a log of some size, so near to the end of a page that nothing fits behind it."""
    for n in range(2, 20):
        shortest = size + plan_bytes(folder / str(n), more(n, 0), epoch)
        for length in range(200):
            if 0 < -(shortest + 2 * length) % PAGE_BYTES < COMMIT_BYTES:  # a name stands there twice
                return more(n, length)
    raise AssertionError


def at(monkeypatch: pytest.MonkeyPatch, point: str, act: Callable[[int], None]) -> None:
    """Do something whenever the stream passes a point; it is told the how manieth time that is."""
    passed = []

    def hook(name: str) -> None:
        if name == point:
            passed.append(name)
            act(len(passed))

    monkeypatch.setattr(stream_worker, "crash_point", hook)


def assert_right(platform: Platform, rows: list[Any] = ROWS) -> None:
    assert_steps_right(platform, rows)
    assert_online_right(platform, rows)


def test_no_room_for_a_plan(tmp_path: Path, city: Platform, state: Path) -> None:
    city.stream("gps", ONCE)
    for name, rows in more(12, 100).items():
        write(tmp_path, name, rows)
    log = state / "epochs.log"
    before, told = log.read_bytes(), list[str]()
    with nearly_full(state, 0):
        with pytest.raises(LakeError, match=rf"Can't write {log}: the disk is full .*Free some space and run it again"):
            city.stream("gps", WIDE, tell=told.append)
        assert log.read_bytes() == before
        assert_right(city, ROWS[:FIRST])
    assert any("Its status can't be written" in text for text in told)
    city.stream("gps", ONCE)
    assert_right(city)


def test_no_room_to_say_that_an_epoch_is_committed(
    tmp_path: Path, city: Platform, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city.stream("gps", ONCE)
    log = EpochLog(state)
    done, size = log.read().committed, log.path.stat().st_size
    for name, rows in to_the_end_of_a_page(tmp_path / "plans", size, done + 1).items():
        write(tmp_path, name, rows)
    with ExitStack() as full:
        at(monkeypatch, "before commit", lambda _: full.enter_context(nearly_full(state, 0)))
        with pytest.raises(LakeError, match=rf"Can't write {log.path}: the disk is full"):
            city.stream("gps", WIDE)
        assert (log.read().plans[-1].epoch, log.read().committed) == (done + 1, done)
    monkeypatch.undo()
    city.stream("gps", ONCE)
    assert_right(city)


def test_no_room_for_a_snapshot(tmp_path: Path, city: Platform, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.jsonl", ROWS[FIRST:])
    full, told, seen = ExitStack(), list[str](), list[list[str]]()

    def act(epoch: int) -> None:
        if epoch == 1:
            full.enter_context(nearly_full(state, 4 * PAGE_BYTES))
        if epoch == 3:
            seen.append([path.name for path in (state / "snapshots").iterdir()])
            full.close()

    at(monkeypatch, "after commit", act)
    with full:
        city.stream("gps", ONCE, tell=told.append)
    assert any(f"Can't write {state / 'snapshots'}: the disk is full" in text for text in told)
    assert any("goes on without a snapshot of epoch" in text for text in told)
    assert not [name for names_then in seen for name in names_then if name.startswith(".")]
    status = city.stream_status()[0]
    assert status.epoch >= 4
    assert status.snapshot_epoch == status.epoch
    assert_right(city)


def test_no_room_for_the_last_snapshot(
    tmp_path: Path, city: Platform, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.jsonl", ROWS[FIRST:])
    with ExitStack() as full:
        at(
            monkeypatch,
            "after commit",
            lambda n: full.enter_context(nearly_full(state, 4 * PAGE_BYTES)) if n == 1 else None,
        )
        with pytest.raises(LakeError, match=rf"Can't write {state / 'snapshots'}: the disk is full"):
            city.stream("gps", ONCE)
    monkeypatch.undo()
    city.stream("gps", ONCE)
    assert_right(city)


def torn_log(folder: Path, done: int, torn: str) -> EpochLog:
    """A log whose last line is not whole."""
    log = EpochLog(folder)
    whole = log.path.read_bytes() if log.path.exists() else b""
    log.plan(Plan(done + 1, {"in/a.jsonl": (0, 5 * SECOND)}, 1))
    log.close()
    line = log.path.read_bytes()[len(whole) :]
    tail = {"half": line[: len(line) // 2], "without its end": line[:-1], "with a wrong sum": b"0" + line[1:]}
    log.path.write_bytes(whole + tail[torn])
    return log


@pytest.mark.parametrize("torn", ["half", "without its end", "with a wrong sum"])
def test_a_line_that_was_torn_was_never_written(tmp_path: Path, torn: str) -> None:
    log = EpochLog(tmp_path)
    log.plan(Plan(1, {}, 1))
    log.commit(1)
    log.close()
    whole = log.path.read_bytes()
    log = torn_log(tmp_path, 1, torn)
    assert log.read() == Logged((Plan(1, {}, 1),), 1)
    log.plan(plan := Plan(2, {"in/a.jsonl": (0, 7)}, 2))
    log.close()
    assert log.path.read_bytes()[: len(whole)] == whole
    assert log.read() == Logged((Plan(1, {}, 1), plan), 1)


def test_a_stream_goes_on_behind_a_torn_line(tmp_path: Path, city: Platform) -> None:
    city.stream("gps", ONCE)
    folder = city.context.lake.folder("state", "streams", "gps")
    torn_log(folder, EpochLog(folder).read().committed, "without its end")
    write(tmp_path, "a.jsonl", ROWS[FIRST:])
    city.stream("gps", ONCE)
    assert_right(city)
