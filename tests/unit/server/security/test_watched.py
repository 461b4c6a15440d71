"""A file that changes is read again; one that breaks leaves in force what was there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from headrace.errors import SettingsError
from headrace.server.security.watched import WatchedFile
from tests.unit.server.security.signing import Clock


def number(content: bytes) -> int:
    try:
        return int(content)
    except ValueError:
        raise SettingsError("no number") from None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "number"
    write(path, "1")
    return path


def write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o600)
    part.replace(path)


def test_a_change_is_seen_a_second_later_and_not_looked_for_before(file: Path) -> None:
    clock = Clock(100.0)
    watched = WatchedFile(file, number, clock.ticks)
    assert watched.current() == 1
    write(file, "2")
    clock.seconds += 0.99
    assert watched.current() == 1
    clock.seconds += 0.01
    assert watched.current() == 2


def test_a_broken_file_leaves_the_last_good_and_is_told_once_and_again_each_minute(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(100.0)
    watched = WatchedFile(file, number, clock.ticks)
    write(file, "x")
    for _ in range(3):
        clock.seconds += 1
        assert watched.current() == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "stays in force: no number" in caplog.text
    clock.seconds += 61
    assert watched.current() == 1
    assert len(caplog.records) == 2
    write(file, "3")
    clock.seconds += 1
    assert watched.current() == 3


def test_a_file_that_is_taken_away_does_not_open_the_door(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(100.0)
    watched = WatchedFile(file, number, clock.ticks)
    file.unlink()
    clock.seconds += 1
    assert watched.current() == 1
    assert watched.is_named
    assert "can't be read" in caplog.text


def test_a_file_may_come_later(tmp_path: Path) -> None:
    clock = Clock(100.0)
    watched = WatchedFile(tmp_path / "number", number, clock.ticks)
    assert watched.current() is None
    assert not watched.is_named
    write(tmp_path / "number", "7")
    clock.seconds += 1
    assert watched.current() == 7


def test_a_file_that_comes_later_and_is_broken_is_there_all_the_same(tmp_path: Path) -> None:
    clock = Clock(100.0)
    watched = WatchedFile(tmp_path / "number", number, clock.ticks)
    write(tmp_path / "number", "x")
    clock.seconds += 1
    assert watched.current() is None
    assert watched.is_named


def test_at_the_start_a_broken_file_is_an_error(file: Path) -> None:
    write(file, "x")
    with pytest.raises(SettingsError, match="no number"):
        WatchedFile(file, number)


def test_a_file_that_others_may_write_is_refused(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(SettingsError, match="chmod go-w"):
        WatchedFile(file, number)
