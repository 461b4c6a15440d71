"""What each stream must do, whatever it reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pytest

from headrace.connectors.base import RAW
from headrace.connectors.streams import OFFSET, PARTITION, RECEIVED, Bounds, Range, Stream
from headrace.errors import AgedOutError, StreamError
from tests.contract.streams import FilesLog, KafkaLog, Log

LONG_SECONDS = 20.0


@pytest.fixture(params=["files", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Log:
    """Return a log with two empty partitions."""
    return FilesLog(tmp_path) if request.param == "files" else KafkaLog(request.getfixturevalue("kafka_bootstrap"))


@pytest.fixture
def stream(log: Log) -> Iterator[Stream]:
    """Return a stream that reads the log."""
    stream = log.open()
    yield stream
    stream.close()


def starts(stream: Stream) -> dict[str, int]:
    return {name: bounds.earliest for name, bounds in stream.bounds().items()}


def heads(stream: Stream) -> dict[str, int]:
    return {name: bounds.head for name, bounds in stream.bounds().items()}


def everything(stream: Stream) -> dict[str, Range]:
    return {name: (bounds.earliest, bounds.head) for name, bounds in stream.bounds().items()}


def polled(stream: Stream, positions: Mapping[str, int], most_rows: int = 1_000) -> tuple[pl.DataFrame, dict[str, int]]:
    """Poll until the heads are reached."""
    frames, ends = [pl.DataFrame(schema=RECEIVED)], dict(positions)
    deadline = time.monotonic() + LONG_SECONDS
    until = heads(stream)
    while any(ends[name] < until[name] for name in ends):
        assert time.monotonic() < deadline, (ends, until)
        received = stream.poll(ends, most_rows, 0.2)
        assert received.frame.height <= most_rows
        assert received.frame.schema == RECEIVED
        frames.append(received.frame)
        ends = dict(received.ends)
    return pl.concat(frames), ends


def texts(frame: pl.DataFrame) -> list[str]:
    return frame[RAW].to_list()


def numbered(first: int, end: int) -> list[bytes]:
    return [b'{"n": %d}' % number for number in range(first, end)]


def test_an_empty_log_has_partitions_in_order_and_nothing_to_read(log: Log, stream: Stream) -> None:
    assert stream.bounds() == {log.name(0): Bounds(0, 0), log.name(1): Bounds(0, 0)}
    assert list(stream.bounds()) == [log.name(0), log.name(1)]
    began = time.monotonic()
    received = stream.poll({log.name(0): 0, log.name(1): 0}, 10, 0.3)
    assert 0.25 < time.monotonic() - began < 5
    assert received.frame.equals(pl.DataFrame(schema=RECEIVED))
    assert received.ends == {log.name(0): 0, log.name(1): 0}


def test_records_come_by_partition_and_offset(log: Log, stream: Stream) -> None:
    log.write(1, b"c")
    log.write(0, b"a", b"b")
    log.write(1, b"d")
    frame, ends = polled(stream, starts(stream))
    frame = frame.sort(PARTITION, OFFSET)
    assert texts(frame) == ["a", "b", "c", "d"]
    assert frame[PARTITION].to_list() == [log.name(0)] * 2 + [log.name(1)] * 2
    assert ends == heads(stream)
    whole = stream.read(everything(stream))
    assert whole.frame.equals(frame)
    assert whole.ends == ends


def test_several_polls_add_up_to_one_read(log: Log, stream: Stream) -> None:
    for first in range(0, 600, 100):
        log.write(0, *numbered(first, first + 100))
        log.write(1, *numbered(1_000 + first, 1_000 + first + 30))
    frame, ends = polled(stream, starts(stream), most_rows=77)
    whole = stream.read(everything(stream))
    assert frame.sort(PARTITION, OFFSET).equals(whole.frame)
    assert whole.ends == ends == heads(stream)
    assert whole.frame.height == 780


def test_a_range_holds_the_same_rows_each_time(log: Log, stream: Stream) -> None:
    log.write(0, *numbered(0, 50))
    first = stream.poll({log.name(0): 0}, 20, LONG_SECONDS)
    ranges = {log.name(0): (0, first.ends[log.name(0)])}
    log.write(0, *numbered(50, 100))
    log.write(1, *numbered(0, 100))
    assert stream.read(ranges).frame.equals(first.frame)
    again = log.open()
    assert again.read(ranges).frame.equals(first.frame)
    again.close()


def test_only_what_is_asked_for_is_read(log: Log, stream: Stream) -> None:
    log.write(0, *numbered(0, 5))
    log.write(1, *numbered(5, 10))
    received = stream.poll({log.name(1): 0}, 100, LONG_SECONDS)
    assert set(received.frame[PARTITION]) == {log.name(1)}
    assert list(received.ends) == [log.name(1)]
    assert stream.poll({}, 100, 0.0).frame.is_empty()
    assert stream.read({}).frame.is_empty()


def test_partitions_join_and_leave_without_losing_or_doubling(log: Log, stream: Stream) -> None:
    log.write(0, *numbered(0, 300))
    log.write(1, *numbered(0, 300))
    ends, frames = starts(stream), []
    asked = [[0], [0, 1], [1], [0, 1], [0], [1]]
    for turn in range(36):
        names = [log.name(partition) for partition in asked[turn % len(asked)]]
        received = stream.poll({name: ends[name] for name in names}, 20, 0.02)
        frames.append(received.frame)
        ends |= received.ends
    rest, ends = polled(stream, ends)
    frame = pl.concat([*frames, rest]).sort(PARTITION, OFFSET)
    assert frame.equals(stream.read(everything(stream)).frame)


def test_a_position_can_be_taken_again(log: Log, stream: Stream) -> None:
    log.write(0, *numbered(0, 40))
    before = stream.poll({log.name(0): 0}, 10, LONG_SECONDS)
    for _ in range(5):
        once = stream.poll(before.ends, 10, LONG_SECONDS)
        assert texts(once.frame) == [text.decode() for text in numbered(10, 20)]
        assert stream.poll({log.name(0): 0}, 10, LONG_SECONDS).frame.equals(before.frame)


def test_waiting_ends_when_a_record_comes(log: Log, stream: Stream) -> None:
    log.write(0, b"a")
    ends = stream.poll({log.name(0): 0, log.name(1): 0}, 10, LONG_SECONDS).ends
    writing = threading.Timer(0.5, log.write, [1, b"b"])
    writing.start()
    began = time.monotonic()
    received = stream.poll(ends, 10, LONG_SECONDS)
    assert texts(received.frame) == ["b"]
    assert 0.3 < time.monotonic() - began < LONG_SECONDS / 2
    writing.join()


def test_gaps_are_passed_over(log: Log, stream: Stream) -> None:
    log.write(0, b"a")
    log.write_gap(0)
    log.write(0, b"b", b"c")
    log.write_gap(0)
    frame, ends = polled(stream, starts(stream), most_rows=1)
    assert texts(frame) == ["a", "b", "c"]
    assert frame[OFFSET].to_list() != [0, 1, 2]
    assert ends == heads(stream)
    whole = stream.read(everything(stream))
    assert whole.frame.equals(frame)
    log.write_gap(0)
    received = stream.read({log.name(0): (ends[log.name(0)], heads(stream)[log.name(0)])})
    assert received.frame.is_empty()


def test_a_range_can_be_empty(log: Log, stream: Stream) -> None:
    log.write(0, b"a")
    head = heads(stream)[log.name(0)]
    received = stream.read({log.name(0): (head, head), log.name(1): (0, 0)})
    assert received.frame.equals(pl.DataFrame(schema=RECEIVED))
    assert received.ends == {log.name(0): head, log.name(1): 0}


def test_bytes_that_are_no_text_are_there_to_be_looked_at(log: Log, stream: Stream) -> None:
    log.write(0, b"a", b"\xff\xfe!", "ö".encode(), b"z\xc3")
    assert texts(stream.read(everything(stream)).frame) == ["a", "\ufffd\ufffd!", "ö", "z\ufffd"]


def test_a_partition_that_was_added_is_there(log: Log, stream: Stream) -> None:
    log.write(0, b"a")
    _, ends = polled(stream, starts(stream))
    added = log.add_partition()
    log.write(added, b"b")
    assert stream.bounds()[log.name(added)].earliest == 0
    frame, _ = polled(stream, {**ends, log.name(added): 0})
    assert texts(frame) == ["b"]


def test_records_that_are_not_kept_any_more_are_missed(log: Log, stream: Stream) -> None:
    log.write(0, *numbered(0, 10))
    log.write(1, *numbered(0, 10))
    ends = stream.read(everything(stream)).ends
    position = stream.poll({log.name(0): 0}, 2, LONG_SECONDS).ends[log.name(0)]
    log.age_out(0, stream.poll({log.name(0): position}, 2, LONG_SECONDS).ends[log.name(0)])
    with pytest.raises(AgedOutError, match="reset the stream"):
        stream.poll({log.name(0): position, log.name(1): 0}, 10, 1)
    with pytest.raises(AgedOutError, match="reset the stream"):
        stream.read({log.name(0): (position, ends[log.name(0)])})
    received = stream.poll({log.name(1): 0}, 10, LONG_SECONDS)
    assert received.frame.height == 10


def test_a_position_behind_the_head_is_refused(log: Log, stream: Stream) -> None:
    log.write(0, b"a", b"b")
    head = heads(stream)[log.name(0)]
    with pytest.raises(StreamError, match=rf"{head + 5}\b.*[Rr]eset the stream"):
        stream.poll({log.name(0): head + 5}, 10, 1)
    with pytest.raises(StreamError, match=r"[Rr]eset the stream"):
        stream.read({log.name(0): (0, head + 5)})
    assert texts(stream.poll({log.name(0): 0}, 10, LONG_SECONDS).frame) == ["a", "b"]


def test_a_partition_that_is_not_there_is_refused(log: Log, stream: Stream) -> None:
    with pytest.raises(StreamError):
        stream.poll({log.name(7): 0}, 10, 1)
    with pytest.raises(StreamError):
        stream.read({"other": (0, 1)})


def test_it_can_be_closed_and_goes_on(log: Log, stream: Stream) -> None:
    log.write(0, b"a", b"b")
    ends = stream.poll({log.name(0): 0}, 1, LONG_SECONDS).ends
    stream.close()
    stream.close()
    assert texts(stream.poll(ends, 1, LONG_SECONDS).frame) == ["b"]


def test_the_time_of_arrival_is_there_where_it_is_measured(log: Log, stream: Stream) -> None:
    log.write(0, b"a", b"b")
    frame = stream.read(everything(stream)).frame
    assert frame["_hr_appended"].null_count() == (0 if stream.measures_arrival else 2)
    assert stream.position_at(log.name(0), 0) == 0
    late = stream.position_at(log.name(0), int((time.time() + 3600) * 1e6))
    assert late == (heads(stream)[log.name(0)] if stream.measures_arrival else 0)


def test_it_says_where_it_is(stream: Stream) -> None:
    assert stream.location
