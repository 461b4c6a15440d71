"""Rows pushed into a real Kafka: keyed, partitioned as other producers do, acknowledged by the brokers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from data_platform.stack.kafka import KafkaServer
from data_platform.stack.topics import create_topic
from headrace.connectors.kafka import KafkaStream
from headrace.connectors.kafka_pushing import KafkaLog
from headrace.errors import StreamError, UnreachableError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.streaming.partitioners import partitions_of
from tests.integration.test_push import as_rows
from tests.streaming import START, online, pings, project

pytestmark = pytest.mark.kafka
ONCE = Pace(0.0, 700, snapshot_seconds=0.05, until_idle=True)


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"push-{uuid.uuid4().hex[:8]}"
    create_topic(kafka_bootstrap, name, 3)
    return name


def pushed_to(root: Path, bootstrap: str, topic: str, *, more: str = "") -> Platform:
    return project(root, stream=f'hr.Kafka("{topic}"{more})', kafka=bootstrap, sinks="online")


@contextmanager
def running(platform: Platform, workers: int = 1) -> Iterator[None]:
    ended = threading.Event()
    options = {"stop": ended.is_set, "workers": workers}
    thread = threading.Thread(target=lambda: platform.stream("gps", Pace(0.05), **options))
    thread.start()
    try:
        while not platform.stream_status() or len(platform.stream_status()) < workers:
            time.sleep(0.05)
        yield
    finally:
        ended.set()
        thread.join(60)


@pytest.mark.parametrize("partitioner", ["murmur2", "crc32"])
def test_keys_get_into_the_partitions_that_the_stream_expects(
    tmp_path: Path, kafka_bootstrap: str, topic: str, partitioner: str
) -> None:
    more = f', key="driver_id", partitioner="{partitioner}"'
    platform = pushed_to(tmp_path, kafka_bootstrap, topic, more=more)
    rows = pings(300)
    report = platform.push("gps", as_rows(rows))
    stream = KafkaStream(kafka_bootstrap, topic)
    bounds = stream.bounds()
    assert report.positions == {name: found.head for name, found in bounds.items()}
    found = stream.read({name: (each.earliest, each.head) for name, each in bounds.items()}).frame
    stream.close()
    assert found.height == len(rows)
    drivers = found["_hr_raw"].str.json_path_match("$.driver_id")
    wanted = partitions_of(drivers, partitioner, 3).tolist()
    assert found["_hr_file"].str.split("/").list.last().cast(pl.Int64).to_list() == wanted


def test_a_push_waits_for_its_own_rows_and_a_repeated_one_changes_nothing(
    tmp_path: Path, kafka_bootstrap: str, topic: str
) -> None:
    platform = pushed_to(tmp_path, kafka_bootstrap, topic, more=', key="driver_id"')
    row = as_rows(pings(1))[0]
    with running(platform):
        for number in (0, 1, 1, 2):
            report = platform.push("gps", [{**row, "event_id": str(number)}], wait_seconds=20)
            assert report.readable, report
            found = online(platform, "model", {"driver_id": [row["driver_id"]]}, START + 3_600_000_000)
            assert found["driver_now__n"] == [number + 1]


@pytest.mark.thorough
def test_a_push_waits_for_each_of_several_workers(tmp_path: Path, kafka_bootstrap: str, topic: str) -> None:
    pushed_to(tmp_path, kafka_bootstrap, topic, more=', key="driver_id"')
    features = (tmp_path / "features.py").read_text()
    begin, end = features.index("zone_now = "), features.index("model = ")
    (tmp_path / "features.py").write_text(features[:begin] + features[end:].replace("zones = ", "# zones = "))
    platform = Platform.open(tmp_path)
    platform.apply()
    rows = as_rows(pings(200))
    drivers = sorted({row["driver_id"] for row in rows})
    wanted = [len({row["event_id"] for row in rows if row["driver_id"] == driver}) for driver in drivers]
    with running(platform, workers=2):
        for times in (1, 2, 3):
            copies = [{**row, "event_id": f"{times}-{row['event_id']}"} for row in rows]
            report = platform.push("gps", copies, wait_seconds=30)
            assert report.readable, report
            assert len(report.positions) == 3
            found = online(platform, "model", {"driver_id": drivers}, START + 3_600_000_000)
            assert found["driver_now__n"] == [times * count for count in wanted]


def test_a_topic_that_is_not_there_is_not_made(tmp_path: Path, kafka_bootstrap: str) -> None:
    platform = pushed_to(tmp_path, kafka_bootstrap, f"none-{uuid.uuid4().hex[:8]}")
    with pytest.raises(StreamError, match="is not there"):
        platform.push("gps", as_rows(pings(1)))


def test_brokers_that_are_away_are_told_within_a_bound(tmp_path: Path) -> None:
    log = KafkaLog("127.0.0.1:1", "gps", {}, reach_seconds=1.0)
    began = time.monotonic()
    with pytest.raises(UnreachableError, match="can't be reached"):
        log.append([b"{}"])
    assert time.monotonic() - began < 5


@pytest.mark.thorough
def test_a_broker_that_dies_refuses_pushes_and_takes_them_when_it_is_back(tmp_path: Path, kafka_home: Path) -> None:
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        create_topic(kafka.bootstrap, "gps", 2)
        log = KafkaLog(kafka.bootstrap, "gps", {}, reach_seconds=2.0)
        ends = log.append([b'{"event_id": "a"}'], ["1"])
        kafka.kill()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match=r"none is acknowledged.*push them again"):
            log.append([b'{"event_id": "b"}'], ["1"])
        assert time.monotonic() - began < 6
        kafka.start()
        deadline = time.monotonic() + 30
        while True:
            try:
                again = log.append([b'{"event_id": "b"}'], ["1"])
            except StreamError:
                assert time.monotonic() < deadline
            else:
                break
        (name,) = ends
        assert again[name] > ends[name]
        log.close()
