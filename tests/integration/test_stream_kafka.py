"""Streams from a real Kafka into a real Redis: arrival by the broker, restarts, a broker and a store that go away."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer
from polars.testing import assert_frame_equal

from data_platform.stack.kafka import KafkaServer
from data_platform.stack.redis import RedisServer
from data_platform.stack.topics import create_topic, delete_records, delete_topic
from headrace.errors import AgedOutError, FencedError, StreamError
from headrace.online.base import Stamp, header
from headrace.online.record_keys import record_key
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.platform.stream_sinks import OnlineSink
from headrace.types import SECOND, Int64
from tests.streaming import as_json, online, pings, project, streamed_steps, truth

pytestmark = pytest.mark.kafka
ONCE = Pace(0.0, 700, snapshot_seconds=0.05, every_step=True, until_idle=True, idle_seconds=3600)


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    name = f"gps-{uuid.uuid4().hex[:8]}"
    create_topic(kafka_bootstrap, name, 3)
    return name


def send(bootstrap: str, topic: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Send pings, each driver's to a partition of its own."""
    producer = Producer({"bootstrap.servers": bootstrap})
    for row in rows:
        producer.produce(topic, as_json(row), key=str(row["driver_id"]))
    assert producer.flush(30) == 0


def now() -> int:
    return time.time_ns() // 1_000


def fresh(n: int, seed: int = 1) -> list[dict[str, Any]]:
    """Pings of the last minutes, whose copies are a second apart at most."""
    return pings(n, seed, start=now() - n * SECOND // 100, every_us=SECOND // 100)


def streamed(root: Path, bootstrap: str, topic: str, **options: Any) -> Platform:
    settings: dict[str, Any] = {"stream": f'hr.Kafka("{topic}")', "kafka": bootstrap, "arrival": False}
    return project(root, **{**settings, **options})


def as_known(platform: Platform, topic: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pings, known when the broker appended the first copy of each."""
    from headrace.connectors.kafka import KafkaStream

    stream = KafkaStream(platform.context.settings.kafka, topic)
    found = stream.read({name: (found.earliest, found.head) for name, found in stream.bounds().items()}).frame
    stream.close()
    ids = found["_hr_raw"].str.extract(r'"event_id": "([^"]+)"')
    taken = pl.DataFrame({"id": ids, "at": found["_hr_appended"].dt.epoch("us")}).group_by("id").agg(pl.col("at").min())
    at = dict(taken.iter_rows())
    return [{**row, "seen_at": at[row["event_id"]]} for row in rows]


def test_rows_count_from_when_the_broker_took_them(tmp_path: Path, kafka_bootstrap: str, topic: str) -> None:
    platform = streamed(tmp_path, kafka_bootstrap, topic, sinks="online, lake")
    rows = fresh(1500)
    send(kafka_bootstrap, topic, rows[:900])
    platform.stream("gps", ONCE)
    send(kafka_bootstrap, topic, rows[900:])
    platform.stream("gps", ONCE)
    status = platform.stream_status()[0]
    assert status.measures_arrival
    assert status.lag_offsets == 0
    known = as_known(platform, topic, rows)
    for view, key in (("driver_now", "driver_id"), ("zone_now", "zone")):
        defined = project(tmp_path / view, arrival=True)
        wanted = truth(defined, view, known).filter(pl.col("valid_from").dt.epoch("us") < status.cut)
        found = streamed_steps(platform, view).select(wanted.columns).sort([key, "valid_from"])
        assert wanted.height > 5  # how many lie before the cut depends on how fast the broker took them
        assert_frame_equal(found, wanted.sort([key, "valid_from"]), rel_tol=1e-12)


@contextmanager
def running(platform: Platform, pace: Pace) -> Iterator[list[str]]:
    """The stream in a thread of its own; what it tells."""
    ended, told, failed = threading.Event(), list[str](), list[BaseException]()

    def run() -> None:
        try:
            platform.stream("gps", pace, stop=ended.is_set, tell=told.append)
        except StreamError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join(60)
    assert not failed, failed


def until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_redis_that_dies_and_comes_back_empty_is_filled_again(
    tmp_path: Path, kafka_bootstrap: str, topic: str, redis_server: str
) -> None:
    rows = fresh(900, seed=2)
    with RedisServer(tmp_path / "redis", settings={"appendonly": "no", "save": '""'}) as redis:
        platform = streamed(tmp_path / "p", kafka_bootstrap, topic, online=redis.url, sinks="online")
        with running(platform, Pace(0.1)) as told:
            send(kafka_bootstrap, topic, rows[:600])
            drivers = sorted({row["driver_id"] for row in rows})
            until(lambda: sum(_counts(platform, drivers)) == len({row["event_id"] for row in rows[:600]}))
            redis.kill()
            send(kafka_bootstrap, topic, rows[600:])
            time.sleep(1.5)
            redis.start()
            until(lambda: sum(_counts(platform, drivers)) == len({row["event_id"] for row in rows}))
        assert any("Trying again" in text or "lost data" in text for text in told)


def _counts(platform: Platform, drivers: list[int]) -> list[int]:
    from headrace.errors import HeadraceError

    try:
        found = online(platform, "model", {"driver_id": drivers}, now() + SECOND)
    except HeadraceError:
        return [-1]
    return [each or 0 for each in found["driver_now__n"]]


def test_a_broker_that_is_gone_for_a_while_is_waited_for(tmp_path: Path, kafka_home: Path) -> None:
    rows = fresh(600, seed=3)
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        create_topic(kafka.bootstrap, "gps", 2)
        platform = streamed(tmp_path / "p", kafka.bootstrap, "gps", sinks="online")
        drivers = sorted({row["driver_id"] for row in rows})
        with running(platform, Pace(0.1)):
            send(kafka.bootstrap, "gps", rows[:300])
            until(lambda: sum(_counts(platform, drivers)) == len({row["event_id"] for row in rows[:300]}))
            kafka.kill()
            time.sleep(3)
            kafka.start()
            send(kafka.bootstrap, "gps", rows[300:])
            until(lambda: sum(_counts(platform, drivers)) == len({row["event_id"] for row in rows}), 60)


def test_records_that_have_aged_out_stop_the_stream(tmp_path: Path, kafka_bootstrap: str, topic: str) -> None:
    platform = streamed(tmp_path, kafka_bootstrap, topic, sinks="online")
    send(kafka_bootstrap, topic, fresh(300))
    platform.stream("gps", ONCE)
    send(kafka_bootstrap, topic, fresh(300, seed=4))
    from headrace.connectors.kafka import KafkaStream

    stream = KafkaStream(kafka_bootstrap, topic)
    heads = {int(name.rpartition("/")[2]): bounds.head for name, bounds in stream.bounds().items()}
    stream.close()
    delete_records(kafka_bootstrap, topic, heads)
    with pytest.raises(AgedOutError, match=topic):
        platform.stream("gps", ONCE)
    assert platform.stream_status()[0].condition == "failed"
    platform.stream("gps", ONCE, reset=True)


def test_a_deleted_topic_stops_the_stream(tmp_path: Path, kafka_bootstrap: str, topic: str) -> None:
    platform = streamed(tmp_path, kafka_bootstrap, topic, sinks="online")
    send(kafka_bootstrap, topic, fresh(50))
    platform.stream("gps", ONCE)
    delete_topic(kafka_bootstrap, topic)
    with pytest.raises(StreamError, match=topic):
        platform.stream("gps", ONCE)


def test_a_partition_that_is_added_is_read_from_its_beginning(tmp_path: Path, kafka_bootstrap: str, topic: str) -> None:
    from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # it is there

    platform = streamed(tmp_path, kafka_bootstrap, topic, sinks="online")
    rows = fresh(600, seed=5)
    send(kafka_bootstrap, topic, rows[:300])
    platform.stream("gps", ONCE)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})  # kept: the answer dies with it
    for done in admin.create_partitions([NewPartitions(topic, 5)]).values():
        done.result(30)
    time.sleep(0.5)
    send(kafka_bootstrap, topic, rows[300:])
    platform.stream("gps", ONCE)
    drivers = sorted({row["driver_id"] for row in rows})
    assert len(platform.stream_status()[0].partitions) == 5
    assert sum(_counts(platform, drivers)) == len({row["event_id"] for row in rows})


def test_a_writer_with_an_older_stamp_is_refused_by_redis(tmp_path: Path, redis_url: str) -> None:
    platform = project(tmp_path, online=redis_url, sinks="online")
    lane_sink = OnlineSink(platform.context.online, "gps")
    key = record_key("ff", (1,), (Int64,))
    assert key is not None
    platform.context.online.put_many([(key, header(Stamp(2, 5)) + b"new")], lasting=True)
    assert platform.context.online.put_many([(key, header(Stamp(1, 9)) + b"old")], lasting=True) == 1
    assert platform.context.online.get_many([key])[0] == header(Stamp(2, 5)) + b"new"
    platform.context.online.delete_many([key])
    assert lane_sink.marker
    assert issubclass(FencedError, StreamError)
