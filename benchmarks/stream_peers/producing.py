"""Pings into a Kafka topic: as fast as the broker takes them, or so many a second, in a process of its own.

``python -m benchmarks.stream_peers.producing BOOTSTRAP TOPIC SECONDS [EVENTS_PER_SECOND]`` keeps to a schedule
and stamps each ping with the real time; it prints one JSON line that says how far it fell behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from benchmarks.harness import ROOT
from benchmarks.stream_peers.events import CHUNK, RATE, Chunk, Draft, Pings, chunks, draft

PARTITIONS: Final = 4
TICK_SECONDS: Final = 0.01
FAST: Final = {
    "linger.ms": 50, "batch.size": 1_000_000, "batch.num.messages": 20_000, "compression.type": "lz4",
    "queue.buffering.max.messages": 2_000_000, "queue.buffering.max.kbytes": 1_048_576, "acks": 1,
}  # fmt: skip
PROMPT: Final = {**FAST, "linger.ms": 5}
_QUEUED: Final = 10 * CHUNK  # beyond it the producer waits: its memory is bounded


@dataclass(frozen=True, slots=True)
class Produced:
    """What went into a topic.

    Parameters
    ----------
    messages : int
        How many.
    seconds, cpu_seconds : float
        From the first one until the broker had them all; what this process used, making them included.
    most_behind_seconds : float
        The furthest that a message was handed over behind its schedule; 0 where there is none.
    started_at : float
        Seconds since 1970.
    """

    messages: int
    seconds: float
    cpu_seconds: float
    most_behind_seconds: float
    started_at: float

    @property
    def messages_per_second(self) -> float:
        """On the whole."""
        return self.messages / self.seconds


class ProducingError(RuntimeError):
    """A message did not reach the topic."""


def create_topic(bootstrap: str, topic: str, partitions: int = PARTITIONS, stamp: str = "LogAppendTime") -> None:
    """Create a topic whose broker stamps each message itself; or, with ``CreateTime``, keeps the producer's stamp."""
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is there

    new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config={"message.timestamp.type": stamp})
    admin = AdminClient({"bootstrap.servers": bootstrap})  # kept: the answer dies with it
    for created in admin.create_topics([new]).values():
        created.result(timeout=30)


def produce(
    bootstrap: str, topic: str, n_events: int, pings: Pings | None = None, stamped: bool = False,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Produced:  # fmt: skip
    """Put pings into a topic as fast as it takes them.

    Parameters
    ----------
    bootstrap, topic : str
        Where to.
    n_events : int
        How many.
    pings : Pings, optional
        How they come.
    stamped : bool
        Whether each message says when its ping arrived, for a topic with ``CreateTime``; slower.
    settings : mapping
        Of the producer, over `FAST`.
    """
    sending = _Sending(bootstrap, topic, {**FAST, **settings})
    for chunk in chunks(pings or Pings(), n_events):
        sending.send(chunk, stamped)
    return sending.finished()


def produce_paced(
    bootstrap: str, topic: str, seconds: float, events_per_second: float = RATE, pings: Pings | None = None
) -> Produced:
    """Put so many pings a second into a topic, each with the real time; what is late is caught up at once."""
    sending = _Sending(bootstrap, topic, PROMPT)
    schedule = _Schedule(pings or Pings(), events_per_second, round(seconds * events_per_second))
    sending.begin()
    while schedule.sent < schedule.n_events:
        due = schedule.due(sending.seconds)
        if not due:
            sending.producer.poll(TICK_SECONDS / 2)
            continue
        sending.behind(sending.seconds - schedule.sent / events_per_second)
        for chunk in schedule.take(due, sending.started_at):
            sending.send(chunk)
    return sending.finished()


def start_paced(bootstrap: str, topic: str, seconds: float, events_per_second: float = RATE) -> subprocess.Popen[str]:
    """Start `produce_paced` in a process of its own; `paced_result` waits for what it says."""
    command = [sys.executable, "-m", __name__, bootstrap, topic, str(seconds), str(events_per_second)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(  # noqa: S603 - this program itself
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
    )


def paced_result(process: subprocess.Popen[str]) -> Produced:
    """What a started producer says when it has ended."""
    said, _ = process.communicate()
    if process.returncode:
        raise ProducingError(f"the paced producer ended with {process.returncode}: see what it wrote on stderr")
    return Produced(**json.loads(said.splitlines()[-1]))


class _Sending:
    def __init__(self, bootstrap: str, topic: str, settings: dict[str, Any]) -> None:
        from confluent_kafka import Producer

        self.producer = Producer({"bootstrap.servers": bootstrap, **settings})
        self.producer.list_topics(topic, timeout=30)  # connected before the clock runs
        self._topic, self._sent, self._most_behind = topic, 0, 0.0
        self._failed: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.started_at, self._began, self._cpu_began = time.time(), time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def behind(self, seconds: float) -> None:
        self._most_behind = max(self._most_behind, seconds - TICK_SECONDS)  # a tick is the schedule's own grain

    def send(self, chunk: Chunk, stamped: bool = False) -> None:
        while len(self.producer) > _QUEUED:
            self.producer.poll(0.01)
        if stamped:  # a batch can't carry stamps
            for line, key, stamp in zip(chunk.lines, chunk.keys, chunk.arrived_ms.tolist(), strict=True):
                self.producer.produce(self._topic, line, key, timestamp=stamp)
        else:
            self._send_batch([{"value": line, "key": key} for line, key in zip(chunk.lines, chunk.keys, strict=True)])
        self._sent += len(chunk.lines)

    def _send_batch(self, messages: list[dict[str, Any]]) -> None:
        if self.producer.produce_batch(self._topic, messages) != len(messages):
            wrong = next(message["_error"] for message in messages if "_error" in message)
            raise ProducingError(f"topic {self._topic}: a message was not taken: {wrong}")

    def finished(self) -> Produced:
        if left := self.producer.flush(120):
            raise ProducingError(f"topic {self._topic}: {left} messages did not reach the broker in 120 s")
        cpu_seconds = time.process_time() - self._cpu_began
        return Produced(self._sent, self.seconds, cpu_seconds, self._most_behind, self.started_at)


class _Schedule:
    def __init__(self, pings: Pings, events_per_second: float, n_events: int) -> None:
        self._pings, self._rate, self.n_events, self.sent = pings, events_per_second, n_events, 0
        self._draft: Draft = draft(pings, 0)

    def due(self, seconds: float) -> int:
        """How many pings to send now; none before a tick is full."""
        due = min(int(seconds * self._rate), self.n_events) - self.sent
        return due if due >= min(self._rate * TICK_SECONDS, self.n_events - self.sent) else 0

    def take(self, count: int, started_at: float) -> list[Chunk]:
        """The next pings, at the times they were due."""
        taken = []
        while count > 0:
            at = self.sent % CHUNK
            some = min(count, CHUNK - at)
            seconds = started_at + np.arange(self.sent, self.sent + some) / self._rate
            taken.append(self._draft.stamped((seconds * 1000).astype(np.int64), at))
            self.sent, count = self.sent + some, count - some
            if self.sent % CHUNK == 0:
                self._draft = draft(self._pings, self.sent // CHUNK)
        return taken


if __name__ == "__main__":
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else RATE
    print(json.dumps(asdict(produce_paced(sys.argv[1], sys.argv[2], float(sys.argv[3]), rate))))
