"""Appending to files that a stream tails."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from headrace.connectors.arrival_stamps import STAMP_BYTES
from headrace.connectors.base import RAW
from headrace.connectors.streams import APPENDED, PARTITION
from headrace.connectors.tailed import TailedFiles
from headrace.connectors.tailed_writing import TailedLog
from headrace.definitions.locations import Files
from headrace.errors import DefinitionError, StreamError


def received(root: Path, files: Files) -> pl.DataFrame:
    """What a reader of the stream sees."""
    reader = TailedFiles(root, files)
    ranges = {name: (found.earliest, found.head) for name, found in reader.bounds().items()}
    return reader.read(ranges).frame


def read(root: Path, files: Files) -> list[str]:
    """The lines that a reader of the stream sees."""
    return received(root, files)[RAW].to_list()


@pytest.mark.parametrize("pattern", ["in/*.jsonl", "in/**/*.jsonl", "in/*/gps*.jsonl", "*.ndjson", "in/a*b*.jsonl"])
def test_the_stream_reads_what_was_appended(tmp_path: Path, pattern: str) -> None:
    files = Files(pattern)
    first = TailedLog(tmp_path, files).append([b'{"a": 1}', b'{"a": 2}'])
    more = STAMP_BYTES + 9
    assert TailedLog(tmp_path, files).append([b'{"a": 3}'], ["k"]) == {name: end + more for name, end in first.items()}
    assert read(tmp_path, files) == ['{"a": 1}', '{"a": 2}', '{"a": 3}']
    assert {name: found.head for name, found in TailedFiles(tmp_path, files).bounds().items()} == {
        name: end + more for name, end in first.items()
    }


@pytest.mark.parametrize("pattern", ["in/gps.jsonl", "in/gps?.jsonl", "in/[ab]*.jsonl", "*/gps.jsonl", "{date}*.jsonl"])
def test_a_pattern_without_room_for_a_name_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(DefinitionError, match="leaves no room"):
        TailedLog(tmp_path, Files(pattern))


def test_an_absolute_pattern(tmp_path: Path) -> None:
    files = Files(str(tmp_path / "elsewhere" / "*.jsonl"))
    root = tmp_path / "project"
    root.mkdir()
    ends = TailedLog(root, files).append([b"{}"])
    assert TailedFiles(root, files).bounds().keys() == ends.keys()


def test_what_a_killed_writer_left_is_cut_off(tmp_path: Path) -> None:
    files = Files("in/*.jsonl")
    log = TailedLog(tmp_path, files)
    (name,) = log.append([b'{"a": 1}'])
    with (tmp_path / name).open("ab") as file:
        file.write(b'{"a": 2')
    log.append([b'{"a": 3}'])
    assert read(tmp_path, files) == ['{"a": 1}', '{"a": 3}']


def test_stamps_never_run_back_within_a_file(tmp_path: Path) -> None:
    files, now = Files("in/*.jsonl"), 1_767_600_000_000_000
    times = [now, now + 5, now - 900_000, now + 6, now - 2_000_000, now - 1_999_999, now + 7]
    for time_us in times:
        TailedLog(tmp_path, files, clock=partial(int, time_us)).append([b'{"a": 1}', b"{}"])
    found = received(tmp_path, files)  # another file was begun when the clock had been set back by seconds
    of_files = [frame[APPENDED].dt.epoch("us").to_list() for frame in found.partition_by(PARTITION)]
    assert sorted(of_files) == [
        [each for each in (now - 2_000_000, now - 1_999_999, now + 7) for _ in range(2)],
        [each for each in (now, now + 5, now + 5, now + 6) for _ in range(2)],
    ]
    assert found[RAW].to_list() == ['{"a": 1}', "{}"] * len(times)


def test_a_file_that_was_begun_without_stamps_gets_them(tmp_path: Path) -> None:
    files = Files("in/*.jsonl")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "pushed-1.jsonl").write_bytes(b'{"a": 1}\n\n')
    assert TailedLog(tmp_path, files).append([b'{"a": 2}']).keys() == {"in/pushed-1.jsonl"}
    assert received(tmp_path, files)[APPENDED].is_null().to_list() == [True, False]
    assert read(tmp_path, files) == ['{"a": 1}', '{"a": 2}']


def test_a_writer_that_stands_still_does_not_hold_up_others_for_ever(tmp_path: Path) -> None:
    log = TailedLog(tmp_path, Files("in/*.jsonl"), turn_seconds=0.05)
    log.append([b"{}"])
    descriptor = os.open(tmp_path / "in", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(StreamError, match="another process has been writing"):
        log.append([b"{}"])
    os.close(descriptor)
    log.append([b"{}"])


def test_a_long_file_is_followed_by_another_one(tmp_path: Path) -> None:
    files = Files("in/*.jsonl")
    logs = [TailedLog(tmp_path, files, rotate_bytes=40 + 3 * STAMP_BYTES) for _ in range(2)]
    names = {name for number in range(20) for name in logs[number % 2].append([b'{"number": %d}' % number])}
    assert len(names) == len(list((tmp_path / "in").iterdir())) == 7
    assert len(read(tmp_path, files)) == 20
    for file in (tmp_path / "in").iterdir():
        file.unlink()  # as somebody who has read them
    assert not names & logs[0].append([b"{}"]).keys()


def test_writers_at_once_and_a_reader_beside_them_see_whole_lines(tmp_path: Path) -> None:
    files = Files("in/*.jsonl")
    (tmp_path / "in").mkdir()
    seen, ended = list[str](), threading.Event()

    def tail() -> None:
        reader, positions = TailedFiles(tmp_path, files), dict[str, int]()
        while True:
            is_last = ended.is_set()
            positions = {name: positions.get(name, 0) for name in reader.bounds()}
            received = reader.poll(positions, 10_000, 0.0)
            seen.extend(received.frame[RAW].to_list())
            positions = dict(received.ends)
            if is_last:
                return

    def write(writer: int) -> None:
        log = TailedLog(tmp_path, files)
        for number in range(20):
            log.append([b'{"line": "%d-%d-%d-%s"}' % (writer, number, line, b"x" * 500) for line in range(20)])

    reading = threading.Thread(target=tail)
    reading.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    ended.set()
    reading.join()
    assert len(seen) == len(set(seen)) == 4 * 20 * 20
    assert all(line.endswith('x"}') for line in seen)
