"""Several workers of one stream: equal to one, whatever their number was before, and together in all that ends them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # it is there

from data_platform.stack.topics import create_topic
from headrace.errors import DefinitionError, StreamError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.platform.stream_status import LIVE
from headrace.streaming.status import StreamStatus
from tests.integration.feeding import crew_process, until
from tests.streaming import as_json, pings, project, streamed_steps, truth

pytestmark = pytest.mark.kafka

PACE = Pace(0.05, 500, snapshot_seconds=0.1, every_step=True, until_idle=True, idle_seconds=3600)


class Drivers:
    """A topic of pings, keyed by driver."""

    def __init__(self, bootstrap: str, name: str, partitions: int = 4) -> None:
        self.bootstrap, self.topic = bootstrap, name
        create_topic(bootstrap, name, partitions, append_time=False)

    def send(self, rows: Iterable[Mapping[str, Any]], partitioner: str = "murmur2_random") -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "partitioner": partitioner, "log_level": 0})
        for row in rows:
            producer.produce(self.topic, as_json(row), key=str(row["driver_id"]))
        assert producer.flush(60) == 0

    def project(self, root: Path, **options: Any) -> Platform:
        stream = f'hr.Kafka("{self.topic}", key="driver_id")'
        platform = project(root, stream=stream, kafka=self.bootstrap, **options)
        source = (root / "features.py").read_text()
        begin, end = source.index("zone_now = "), source.index("model = ")
        (root / "features.py").write_text(source[:begin] + source[end:].replace("zones = ", "# zones = "))
        platform = Platform.open(root)
        platform.apply()
        return platform


@pytest.fixture
def drivers(kafka_bootstrap: str, request: pytest.FixtureRequest) -> Drivers:
    """Return an empty topic with four partitions."""
    return Drivers(kafka_bootstrap, f"gps-{abs(hash(request.node.name)) % 10**9}-{os.getpid()}")


@contextmanager
def crew(platform: Platform, workers: int = 2) -> Iterator[Future[None]]:
    """Some workers that run until the block ends."""
    ended, pace = threading.Event(), Pace(0.05, 500, every_step=True, idle_seconds=3600)
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(platform.stream, "gps", pace, workers=workers, stop=ended.is_set, tell=print)
        try:
            yield done
        finally:
            ended.set()
        done.result(60)


def kill_one_of_two(platform: Platform) -> None:
    with crew(platform):
        until(lambda: len(platform.stream_status()) == 2 and read(platform) > 1_000)
        os.kill(platform.stream_status()[1].pid, signal.SIGKILL)
        until(lambda: not all(map(is_running, platform.stream_status())))


def is_running(status: StreamStatus) -> bool:
    return status.condition in LIVE


def read(platform: Platform) -> int:
    """How many records all workers have read."""
    return sum(each.position for status in platform.stream_status() for each in status.partitions)


def assert_equal_to(platform: Platform, rows: list[dict[str, Any]]) -> None:
    """Each step that is final came once, in a table and online, as the rows themselves give it."""
    final = truth(platform, "driver_now", rows)
    found = streamed_steps(platform, "driver_now")
    cut = min(status.cut for status in platform.stream_status())
    keys = ["driver_id", "valid_from"]
    columns = [*keys, "seen", "total", "n", "mean_5m"]
    wanted = final.filter(pl.col("valid_from").dt.epoch("us") < cut).select(columns).sort(keys)
    got = found.filter(pl.col("valid_from").dt.epoch("us") < cut).select(columns).sort(keys)
    assert wanted.height > 100
    assert got.select(keys).equals(wanted.select(keys))
    assert got.select("seen", "n").equals(wanted.select("seen", "n"))
    for name in ("total", "mean_5m"):
        assert ((got[name] - wanted[name]).abs().fill_null(0) < 1e-6).all()
        assert (got[name].is_null() == wanted[name].is_null()).all()
    ids = sorted({row["driver_id"] for row in rows})
    now = max(row["seen_at"] for row in rows) + 1
    online = platform.online("model", {"driver_id": ids}, at=now).to_frame()
    last = final.filter(pl.col("valid_from").dt.epoch("us") <= now).unique("driver_id", keep="last").sort("driver_id")
    assert online["driver_now__n"].to_list() == last["n"].to_list()


@pytest.mark.thorough
def test_their_number_may_change_between_runs(drivers: Drivers, tmp_path: Path) -> None:
    platform, rows, sent = drivers.project(tmp_path), pings(6_000), 0
    for workers, end in ((1, 1_000), (3, 2_500), (3, 3_000), (2, 4_500), (1, 5_000), (4, 6_000)):
        drivers.send(rows[sent:end])
        sent = end
        platform.stream("gps", PACE, workers=workers)
        assert len(platform.stream_status()) == workers
        assert_equal_to(platform, rows[:end])


def test_a_killed_worker_ends_all_and_nothing_is_lost(drivers: Drivers, tmp_path: Path) -> None:
    platform, rows = drivers.project(tmp_path), pings(6_000)
    drivers.send(rows[:3_000])
    with pytest.raises(StreamError, match="worker 1 of 2 failed, so all were ended: it ended with exit code -9"):
        kill_one_of_two(platform)
    drivers.send(rows[3_000:])
    platform.stream("gps", PACE, workers=3)  # what the killed one had planned is made again first
    assert_equal_to(platform, rows)


def test_workers_end_with_the_process_that_started_them(drivers: Drivers, tmp_path: Path) -> None:
    platform, rows = drivers.project(tmp_path), pings(2_000)
    drivers.send(rows)
    with crew_process(tmp_path, 2) as parent:
        until(
            lambda: sum(s.events for s in platform.stream_status()) == len(rows) and len(platform.stream_status()) == 2
        )
        parent.send_signal(signal.SIGKILL)
        parent.wait(30)
    platform.stream("gps", PACE, workers=4)  # waits for them
    assert_equal_to(platform, rows)


def test_a_hold_and_a_release_are_taken_over_while_they_run(drivers: Drivers, tmp_path: Path) -> None:
    platform, rows = drivers.project(tmp_path), pings(3_000)
    now, mine = rows[-1]["seen_at"] + 1, [row for row in rows if row["driver_id"] == 1]

    def served() -> int | None:
        found: list[int | None] = platform.online("model", {"driver_id": [1]}, at=now).to_dict()["driver_now__n"]
        return found[0]

    drivers.send(rows[:1_500])
    with crew(platform):
        until(lambda: read(platform) == 1_500)
        platform.hold("driver_now", "for a test")
        until(lambda: served() is None)  # nothing was published before the hold
        drivers.send(rows[1_500:])
        until(lambda: read(platform) == len(rows))
        assert served() is None
        platform.release("driver_now")
        until(lambda: served() == len({row["event_id"] for row in mine}))


def test_a_view_of_other_entities_is_refused(drivers: Drivers, tmp_path: Path) -> None:
    platform = project(tmp_path, stream=f'hr.Kafka("{drivers.topic}", key="driver_id")', kafka=drivers.bootstrap)
    with pytest.raises(DefinitionError, match=r"zone_now.*its entity's keys \(zone\) are not the key of the topic"):
        platform.stream("gps", PACE, workers=2)


def test_a_topic_of_which_no_key_is_known_is_refused(drivers: Drivers, tmp_path: Path) -> None:
    platform = project(tmp_path, stream=f'hr.Kafka("{drivers.topic}")', kafka=drivers.bootstrap)
    with pytest.raises(DefinitionError, match="keyed by a column, and it is not said"):
        platform.stream("gps", PACE, workers=2)


def test_rows_that_are_not_where_their_key_belongs_end_the_stream(drivers: Drivers, tmp_path: Path) -> None:
    platform = drivers.project(tmp_path)
    drivers.send(pings(200), partitioner="consistent")
    with pytest.raises(StreamError, match="murmur2 puts it into another of 4"):
        platform.stream("gps", PACE, workers=2)
    platform.stream("gps", PACE)  # one worker takes them wherever they are
    assert sum(status.events for status in platform.stream_status()) > 0


@pytest.mark.thorough
def test_a_topic_with_more_partitions_takes_one_worker_for_what_is_older(drivers: Drivers, tmp_path: Path) -> None:
    platform, rows = drivers.project(tmp_path), pings(4_000)
    drivers.send(rows[:1_000])
    platform.stream("gps", PACE, workers=2)
    drivers.send(rows[1_000:2_000])  # not read before keys move
    admin = AdminClient({"bootstrap.servers": drivers.bootstrap})
    (made,) = admin.create_partitions([NewPartitions(drivers.topic, 6)]).values()
    made.result(20)
    with pytest.raises(StreamError, match="after partitions were added read what is older by one worker"):
        platform.stream("gps", PACE, workers=2)
    platform.stream("gps", PACE)
    drivers.send(rows[2_000:])
    platform.stream("gps", PACE, workers=2)
    assert_equal_to(platform, rows)
