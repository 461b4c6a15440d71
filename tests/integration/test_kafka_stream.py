"""A topic of Kafka as a stream: transactions, times, and brokers and topics that go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from data_platform.stack.kafka import KafkaServer
from data_platform.stack.topics import create_topic, delete_topic
from headrace.connectors.base import RAW
from headrace.connectors.kafka import KafkaStream
from headrace.connectors.streams import APPENDED, OFFSET, PARTITION, Range, Received
from headrace.errors import AgedOutError, SettingsError, StreamError, UnreachableError
from tests.contract.streams import KafkaLog

pytestmark = pytest.mark.kafka

LONG_SECONDS = 20.0


@pytest.fixture
def log(kafka_bootstrap: str) -> KafkaLog:
    """Return a topic with two empty partitions."""
    return KafkaLog(kafka_bootstrap)


@pytest.fixture
def stream(log: KafkaLog) -> Iterator[KafkaStream]:
    """Return a stream that reads it."""
    stream = log.open()
    yield stream
    stream.close()


def texts(received: Received) -> list[str]:
    return received.frame[RAW].to_list()


def everything(stream: KafkaStream) -> dict[str, Range]:
    return {name: (bounds.earliest, bounds.head) for name, bounds in stream.bounds().items()}


def polled(stream: KafkaStream, ends: Mapping[str, int]) -> tuple[list[str], Mapping[str, int]]:
    """Poll until the heads are reached."""
    found: list[str] = []
    deadline = time.monotonic() + LONG_SECONDS
    while any(ends[name] < stream.bounds()[name].head for name in ends):
        assert time.monotonic() < deadline
        received = stream.poll(ends, 1_000, 0.2)
        found += texts(received)
        ends = received.ends
    return found, ends


def until_head(stream: KafkaStream, name: str) -> Mapping[str, int]:
    """Poll one partition from its beginning until its head is reached."""
    return polled(stream, {name: 0})[1]


def poll_often(stream: KafkaStream, ends: Mapping[str, int], wait_seconds: float = 0.5) -> None:
    """Go on for a while, in which something is bound to be noticed."""
    deadline = time.monotonic() + LONG_SECONDS
    while time.monotonic() < deadline:
        ends = stream.poll(ends, 1, wait_seconds).ends


def test_an_open_transaction_is_not_read(log: KafkaLog, stream: KafkaStream) -> None:
    log.write(0, b"a")
    producer = log.transactional()
    producer.begin_transaction()
    producer.produce(log.topic, b"b", partition=0)
    producer.flush()
    log.write(0, b"c")  # not in the transaction, but behind its first record
    assert stream.bounds()[log.name(0)].head == 1
    received = stream.poll({log.name(0): 0}, 10, LONG_SECONDS)
    assert texts(received) == ["a"]
    assert received.ends == {log.name(0): 1}
    assert stream.poll(received.ends, 10, 0.5).ends == received.ends
    with pytest.raises(StreamError, match="now it ends at 1"):
        stream.read({log.name(0): (0, 3)})
    producer.commit_transaction()
    log.settle()
    assert polled(stream, received.ends) == (["b", "c"], {log.name(0): 4})


def test_an_aborted_transaction_is_passed_over(log: KafkaLog, stream: KafkaStream) -> None:
    log.write(0, b"a")
    log.write_gap(0)
    log.write(0, b"b")
    received = stream.read(everything(stream))
    assert texts(received) == ["a", "b"]
    assert received.frame[OFFSET].to_list() == [0, 3]


def test_poll_goes_on_behind_a_range_though_more_was_fetched(log: KafkaLog, stream: KafkaStream) -> None:
    log.write(0, *(b"%d" % number for number in range(400)))
    for end in range(5, 45, 10):
        stream.read({log.name(0): (0, end)})
        hurried = stream.poll({log.name(0): end, log.name(1): 0}, 1_000, 0.0)  # may have nothing yet, nor say otherwise
        assert hurried.ends == {log.name(0): end + hurried.frame.height, log.name(1): 0}
        received = stream.poll(hurried.ends, 1_000, 0.2)
        got = [*texts(hurried), *texts(received)]
        assert got == [str(number) for number in range(end, end + len(got))]


@pytest.mark.parametrize("begin", [0, 2, 3])
def test_a_range_ends_though_only_markers_are_left_of_it(log: KafkaLog, stream: KafkaStream, begin: int) -> None:
    producer = log.transactional()
    for values in ((b"a", b"b"), ()):
        producer.begin_transaction()
        for value in values:
            producer.produce(log.topic, value, partition=0)
        if not values:
            producer.produce(log.topic, b"never", partition=0)
            producer.flush()
            producer.abort_transaction()
        else:
            producer.commit_transaction()
        log.settle()
    head = stream.bounds()[log.name(0)].head
    assert head == 5
    received = stream.read({log.name(0): (begin, head)})
    assert texts(received) == ["a", "b"][begin:]
    assert received.ends == {log.name(0): head}
    assert until_head(stream, log.name(0)) == {log.name(0): head}


def test_many_transactions_polled_are_one_read(log: KafkaLog, stream: KafkaStream) -> None:
    producer = log.transactional()

    def produce() -> None:
        for number in range(60):
            producer.begin_transaction()
            for partition in (0, 1):
                producer.produce(log.topic, b"%d" % number, partition=partition)
            producer.flush()
            if number % 3:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
        log.settle()

    writing = threading.Thread(target=produce)
    writing.start()
    frames, ends = [], {log.name(0): 0, log.name(1): 0}
    while writing.is_alive() or any(ends[name] < bounds.head for name, bounds in stream.bounds().items()):
        received = stream.poll(ends, 7, 0.1)
        assert all(received.ends[name] >= ends[name] for name in ends)
        frames.append(received.frame)
        ends = dict(received.ends)
    whole = stream.read(everything(stream))
    assert pl.concat(frames).sort(PARTITION, OFFSET).equals(whole.frame)
    assert texts(whole) == 2 * [str(number) for number in range(60) if number % 3]


def test_tombstones_are_left_out(log: KafkaLog, stream: KafkaStream) -> None:
    log.write(0, b"a", None, b"", b"b", None)
    received = stream.read(everything(stream))
    assert texts(received) == ["a", "", "b"]
    assert received.frame[OFFSET].to_list() == [0, 2, 3]
    assert until_head(stream, log.name(0)) == {log.name(0): 5}


def test_the_time_of_arrival_is_that_of_the_broker(log: KafkaLog, stream: KafkaStream) -> None:
    assert stream.measures_arrival
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    log.write(0, b"a")
    time.sleep(0.05)
    log.write(0, b"b")
    received = stream.read(everything(stream))
    first, second = received.frame[APPENDED].to_list()
    assert before <= first < second <= datetime.now(UTC)
    later_us = int(second.timestamp() * 1e6)
    assert stream.position_at(log.name(0), later_us) == 1
    assert stream.position_at(log.name(0), later_us - 999) == 1
    assert stream.position_at(log.name(0), later_us + 1) == 2
    assert stream.position_at(log.name(1), later_us) == 0
    with pytest.raises(StreamError, match="no partition 9"):
        stream.position_at(log.name(9), later_us)


def test_the_time_of_a_producer_is_no_time_of_arrival(kafka_bootstrap: str) -> None:
    log = KafkaLog(kafka_bootstrap, append_time=False)
    stream = log.open()
    log.write(0, b"a")
    assert not stream.measures_arrival
    assert stream.read(everything(stream)).frame[APPENDED].to_list() == [None]
    assert stream.position_at(log.name(0), int(time.time() * 1e6)) == 0
    stream.close()


def test_records_that_have_aged_out_are_told_by_offset(log: KafkaLog, stream: KafkaStream) -> None:
    log.write(0, b"a", b"b", b"c", b"d")
    log.age_out(0, 3)
    with pytest.raises(AgedOutError, match=f"'{log.topic}'.*partition 0: offset 1 .*is kept is 3: 2 offsets are lost"):
        stream.poll({log.name(0): 1}, 10, 1)
    assert stream.bounds()[log.name(0)] == (3, 4)
    assert texts(stream.poll({log.name(0): 3}, 10, LONG_SECONDS)) == ["d"]


def test_records_that_age_out_while_it_reads_are_missed(kafka_bootstrap: str, log: KafkaLog) -> None:
    stream = KafkaStream(kafka_bootstrap, log.topic, {"queued.min.messages": "1", "max.partition.fetch.bytes": "1000"})
    for _ in range(20):  # batches that are fetched one by one
        log.write(0, *(b"x" * 500 for _ in range(20)))
    ends = stream.poll({log.name(0): 0}, 1, LONG_SECONDS).ends
    log.age_out(0, 399)
    with pytest.raises(AgedOutError, match="is kept is 399"):
        poll_often(stream, ends)
    stream.close()


def test_a_topic_that_is_not_there_is_said(kafka_bootstrap: str, log: KafkaLog, stream: KafkaStream) -> None:
    missing = KafkaStream(kafka_bootstrap, f"{log.topic}-missing")
    with pytest.raises(StreamError, match=r"is not there\. Create it"):
        missing.bounds()
    with pytest.raises(StreamError, match=r"is not there\. Create it"):
        assert missing.measures_arrival
    missing.close()
    log.write(0, b"a")
    ends = stream.poll({log.name(0): 0}, 10, LONG_SECONDS).ends
    delete_topic(kafka_bootstrap, log.topic)
    with pytest.raises(StreamError, match=r"is not there\. Create it"):
        poll_often(stream, ends)


def test_a_topic_that_was_created_again_is_told_by_its_head(
    kafka_bootstrap: str, log: KafkaLog, stream: KafkaStream
) -> None:
    log.write(0, b"a", b"b", b"c")
    ends = until_head(stream, log.name(0))
    delete_topic(kafka_bootstrap, log.topic)
    create_topic(kafka_bootstrap, log.topic, partitions=2)
    with pytest.raises(StreamError, match=r"offset 3 was reached before, but now it ends at \d\..*created again"):
        poll_often(stream, ends)
    fresh = log.open()
    with pytest.raises(StreamError, match="created again"):
        fresh.poll(ends, 10, 1.0)
    fresh.close()


def test_headraces_own_options_and_unknown_ones_are_refused(kafka_bootstrap: str) -> None:
    with pytest.raises(SettingsError, match=r"isolation\.level is headrace's own"):
        KafkaStream(kafka_bootstrap, "t", {"isolation.level": "read_uncommitted"})
    with pytest.raises(SettingsError, match=r"metadata\.broker\.list is headrace's own\. Set `kafka`"):
        KafkaStream(kafka_bootstrap, "t", {"metadata.broker.list": "elsewhere:9092"})
    with pytest.raises(SettingsError, match='"nonsense"'):
        KafkaStream(kafka_bootstrap, "t", {"nonsense": "1"}).bounds()


def test_brokers_that_are_not_there_are_said() -> None:
    stream = KafkaStream("127.0.0.1:1", "gps", reach_seconds=0.5)
    for ask in (stream.bounds, lambda: stream.poll({"gps/0": 0}, 1, 0.1), lambda: stream.measures_arrival):
        with pytest.raises(
            UnreachableError, match=r"topic 'gps' of Kafka at 127\.0\.0\.1:1: its brokers can't be reached \("
        ):
            ask()
    stream.close()


@pytest.mark.thorough
@pytest.mark.slow
def test_a_broker_that_comes_back_is_read_on(kafka_home: Path, tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        log = KafkaLog(kafka.bootstrap)
        stream = log.open()
        log.write(0, *(b"%d" % number for number in range(10)))
        received = stream.poll({log.name(0): 0, log.name(1): 0}, 4, LONG_SECONDS)
        kafka.kill()
        back = threading.Timer(2.0, kafka.start)
        back.start()
        seen, deadline = texts(received), time.monotonic() + 60
        while len(seen) < 10:
            assert time.monotonic() < deadline
            received = stream.poll(received.ends, 4, 0.2)
            seen += texts(received)
        assert seen == [str(number) for number in range(10)]
        stream.poll(received.ends, 4, 2.0)  # waits for it
        back.join()
        log.write(1, b"more")
        received = stream.poll(received.ends, 10, LONG_SECONDS)
        assert texts(received) == ["more"]
        kafka.kill()
        impatient = KafkaStream(kafka.bootstrap, log.topic, reach_seconds=1.0)
        with pytest.raises(UnreachableError, match=r"its brokers can't be reached .*goes on where it stopped"):
            poll_often(impatient, received.ends)
        kafka.start()
        log.write(0, b"last")
        for one in (stream, impatient):
            assert texts(one.poll(received.ends, 10, LONG_SECONDS)) == ["last"]
            one.close()


@pytest.mark.thorough
@pytest.mark.slow
def test_a_broker_that_hangs_is_waited_for(kafka_home: Path, tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        log = KafkaLog(kafka.bootstrap)
        stream = KafkaStream(kafka.bootstrap, log.topic, reach_seconds=2.0)
        log.write(0, b"a")
        received = stream.poll({log.name(0): 0}, 4, LONG_SECONDS)
        kafka.pause()
        with pytest.raises(UnreachableError, match="its brokers can't be reached"):
            poll_often(stream, received.ends)
        kafka.resume()
        log.write(0, b"b")
        assert texts(stream.poll(received.ends, 10, LONG_SECONDS)) == ["b"]
        stream.close()
