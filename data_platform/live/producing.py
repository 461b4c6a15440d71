"""Records into Kafka, each when it is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from data_platform.live.arriving import Arrivals
from data_platform.stack.errors import StackError

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

_TICK_SECONDS: Final = 0.01
_AT_ONCE: Final = 5_000
_FLUSH_SECONDS: Final = 30


def now_us() -> int:
    """The real time."""
    return time.time_ns() // 1_000


class Producer:
    """Sends what is due, in a thread of its own; what was due before it started goes first, at full speed.

    Parameters
    ----------
    bootstrap : str
        The broker's address.
    arrivals : sequence of Arrivals
        What comes on each topic.
    """

    def __init__(self, bootstrap: str, arrivals: Sequence[Arrivals]) -> None:
        from confluent_kafka import Producer as Client

        self.arrivals = {each.topic: each for each in arrivals}
        self.sent = dict.fromkeys(self.arrivals, 0)
        self._client = Client({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all", "log_level": 0})
        self._failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    @property
    def total(self) -> int:
        """Records sent so far."""
        return sum(self.sent.values())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Send no more, and wait until the broker has what was sent.

        Raises
        ------
        StackError
            If a record did not reach it.
        """
        self._stop.set()
        self._thread.join()
        left = self._client.flush(_FLUSH_SECONDS)
        if left or self._failed:
            why = f": {self._failed[0]}" if self._failed else ""
            raise StackError(f"{left + len(self._failed)} records did not reach Kafka{why}. Start the demo again.")

    def _run(self) -> None:
        while not self._stop.is_set():
            waiting = [self._send(each) for each in self.arrivals.values()]
            self._client.poll(0 if any(waiting) else _TICK_SECONDS)

    def _send(self, arrivals: Arrivals) -> bool:
        """Send some of what is due; whether there is more."""
        start, due = self.sent[arrivals.topic], arrivals.due(now_us())
        end = min(due, start + _AT_ONCE)
        for place in range(start, end):
            self._put(arrivals.topic, arrivals.keys[place], arrivals.lines[place])
            self.sent[arrivals.topic] = place + 1
        return end < due

    def _put(self, topic: str, key: bytes | None, line: bytes) -> None:
        while True:
            try:
                self._client.produce(topic, line, key, on_delivery=self._delivered)
            except BufferError:  # its queue is full
                self._client.poll(_TICK_SECONDS)
            else:
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error.str()}")


@contextmanager
def producing(bootstrap: str, arrivals: Sequence[Arrivals]) -> Iterator[Producer]:
    """Send what is due while the block runs."""
    producer = Producer(bootstrap, arrivals)
    producer.start()
    try:
        yield producer
    finally:
        producer.finish()
