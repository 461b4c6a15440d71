"""A topic that feeds a project's stream, and runs of it that are watched or killed (``python -m``)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from data_platform.stack.topics import create_topic
from headrace.connectors.kafka import KafkaStream
from headrace.connectors.streams import Bounds, Range, Received
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.platform.stream_worker import Worker
from headrace.streaming.status import StreamStatus
from tests.streaming import ROOT, as_json, project

SMALL = Pace(0.0, 500, snapshot_seconds=0.0, every_step=True, until_idle=True, idle_seconds=3600)


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic of pings, stamped by the broker; `known` says whether they also say when they count from."""

    bootstrap: str
    topic: str

    @classmethod
    def new(cls, bootstrap: str, partitions: int = 2) -> Feed:
        """A topic of its own."""
        name = f"gps-{uuid.uuid4().hex[:8]}"
        create_topic(bootstrap, name, partitions)
        return cls(bootstrap, name)

    def project(self, root: Path, *, known: bool = True, **options: Any) -> Platform:
        """A project that streams it; its rows count from their ``seen_at``, or from when the broker took them."""
        return project(root, stream=f'hr.Kafka("{self.topic}")', kafka=self.bootstrap, arrival=known, **options)

    def send(self, rows: Iterable[Mapping[str, Any]], partition: int | None = None) -> None:
        """Send pings: to one partition, or each driver's to one."""
        where = [row["driver_id"] % 2 if partition is None else partition for row in rows]
        self.send_raw(zip(map(as_json, rows), where, strict=True))

    def send_raw(self, values: Iterable[tuple[bytes, int]]) -> None:
        """Send values to partitions."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for value, partition in values:
            producer.produce(self.topic, value, partition=partition)
        assert producer.flush(60) == 0


class Even:
    """A topic that is cut evenly, whatever the broker hands out at once: two runs have the same epochs."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._stream = KafkaStream(bootstrap, topic)
        self.location, self.measures_arrival = self._stream.location, self._stream.measures_arrival

    def bounds(self) -> dict[str, Bounds]:
        return self._stream.bounds()

    def poll(self, positions: Mapping[str, int], most_rows: int, wait_seconds: float) -> Received:
        heads, share = self.bounds(), max(1, most_rows // len(positions))
        return self.read({name: (at, min(at + share, heads[name].head)) for name, at in positions.items()})

    def read(self, ranges: Mapping[str, Range]) -> Received:
        return self._stream.read(ranges)

    def position_at(self, partition: str, time_us: int) -> int:
        return self._stream.position_at(partition, time_us)

    def close(self) -> None:
        self._stream.close()


def work(platform: Platform, stream: Any, pace: Pace, stop: Callable[[], bool] = lambda: False) -> Worker:
    """Run a stream that was opened by the test."""
    context = platform.context
    with context.lake.lock("stream-gps"), closing(stream):
        worker = Worker(context, context.definitions.source("gps"), stream, pace, stop, print)
        worker.run()
    return worker


def start(root: Path, feed: Feed, most_rows: int, crash_at: str = "") -> subprocess.Popen[bytes]:
    """Start the stream in a process of its own, with even epochs, a snapshot each, until all is read."""
    command = [sys.executable, "-m", "tests.integration.feeding", str(root), feed.bootstrap, feed.topic, str(most_rows)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "HEADRACE_CRASH_AT": crash_at}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def run(root: Path, feed: Feed, most_rows: int, crash_at: str = "") -> int:
    """As `start`, and wait for its end: its exit code."""
    with start(root, feed, most_rows, crash_at) as child:
        return child.wait(60)


def crew_process(root: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start several workers of a project's stream by the command that users have."""
    command = [sys.executable, "-m", "headrace", "stream", "--workers", str(workers), "--epoch", "0.05"]
    return subprocess.Popen([*command, "--project", str(root)], cwd=ROOT, stderr=subprocess.DEVNULL)


def kill_in_a_snapshot(root: Path, feed: Feed, most_rows: int) -> bool:
    """Kill it in the middle of a snapshot; whether one was left torn, which its end may forestall."""
    snapshots = root / "lake" / "state" / "streams" / "gps" / "snapshots"
    with start(root, feed, most_rows) as child:
        while child.poll() is None:
            if snapshots.exists() and any(name.endswith(".part") for name in os.listdir(snapshots)):  # noqa: PTH208 - fast
                child.send_signal(signal.SIGKILL)
                break
    return any(snapshots.glob(".*.part"))


@contextmanager
def running(platform: Platform, pace: Pace, stream: Any = None) -> Iterator[list[str]]:
    """The stream in a thread, until the block ends; what it tells."""
    ended, told = threading.Event(), list[str]()

    def run() -> None:
        if stream is None:
            platform.stream("gps", pace, stop=ended.is_set, tell=told.append)
        else:
            work(platform, stream, pace, ended.is_set)

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(run)
        try:
            yield told
        finally:
            ended.set()
        done.result(60)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def status(platform: Platform) -> StreamStatus:
    """What the stream said last."""
    return platform.stream_status()[0]


def stored(platform: Platform) -> dict[bytes, bytes]:
    """Every record in the online store."""
    return {key: value for key, value in platform.context.online.scan(b"r")}  # noqa: C416 - bytes to bytes


def ids(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many events there are among pings."""
    return len({row["event_id"] for row in rows})


def main() -> None:
    """Run the stream of a project until all is read."""
    root, bootstrap, topic, most = sys.argv[1:]
    pace = Pace(0.0, int(most), snapshot_seconds=0.0, every_step=True, until_idle=True, idle_seconds=3600)
    work(Platform.open(Path(root)), Even(bootstrap, topic), pace)


if __name__ == "__main__":
    main()
