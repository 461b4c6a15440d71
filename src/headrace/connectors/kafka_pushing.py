"""Appending records to a topic: each is with all of the brokers that must have it when the call returns."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace.connectors.kafka_failures import failure, passes
from headrace.connectors.kafka_options import refuse_own, refused
from headrace.connectors.kafka_topic import KafkaTopic
from headrace.errors import StreamError, UnreachableError

TUNING: Final = {
    "compression.type": "lz4",
    "linger.ms": "1",  # somebody waits for each
    "log_level": "2",
    "queue.buffering.max.messages": "500000",
    "reconnect.backoff.max.ms": "1000",
    "retry.backoff.ms": "20",
}
PARTITIONERS: Final = {"murmur2": "murmur2_random", "crc32": "consistent_random"}
"""The names under which the library knows them."""
REACH_SECONDS: Final = 10.0
_SLICE_SECONDS: Final = 0.005
_SLACK_SECONDS: Final = 2.0
_TIMED_OUT: Final = "_MSG_TIMED_OUT"


@dataclass(slots=True)
class _Sent:
    """What became of the records of one call."""

    wanted: int
    ends: dict[int, int] = field(default_factory=dict)
    delivered: int = 0
    error: KafkaError | None = None
    failed: int = 0

    def report(self, error: KafkaError | None, message: Message[Any, Any]) -> None:
        """Take the brokers' answer for one of them; called by whichever thread asks the library."""
        if error is not None:
            self.error, self.failed = self.error or error, self.failed + 1
            return
        number, offset = message.partition(), message.offset()
        assert number is not None
        assert offset is not None
        self.ends[number] = max(self.ends.get(number, 0), offset + 1)
        self.delivered += 1

    @property
    def is_done(self) -> bool:
        """Whether there is an answer for each."""
        return self.delivered + self.failed >= self.wanted


class KafkaLog:
    """Appends to a topic, from several threads at once. Nothing is connected before the first use.

    Parameters
    ----------
    bootstrap : str
        The brokers: ``host:9092,…``.
    topic : str
        Its name. It must be there: a name that was mistyped makes none.
    options : mapping of str to str
        librdkafka's, such as ``security.protocol``.
    partitioner : str
        How a key gets into a partition; see `PARTITIONERS`.
    reach_seconds : float
        How long to go on while the brokers can't be reached.

    Raises
    ------
    SettingsError
        If an option is one that headrace sets itself.
    """

    def __init__(
        self, bootstrap: str, topic: str, options: dict[str, str], partitioner: str = "murmur2",
        *, reach_seconds: float = REACH_SECONDS,
    ) -> None:  # fmt: skip
        own = {
            "acks": "all",
            "enable.idempotence": "true",
            "message.timeout.ms": str(int(reach_seconds * 1_000)),
            "partitioner": PARTITIONERS[partitioner],
        }
        refuse_own(options, own)
        self.name = topic
        self._asked = partial(KafkaTopic, bootstrap, topic, options, reach_seconds)
        self.location = self._asked().location
        self._given = {"bootstrap.servers": bootstrap, **TUNING, **options}
        self._own = own
        self._reach_seconds = reach_seconds
        self._producer: Producer | None = None
        self._reason = ""
        self._is_there = False
        self._turn = threading.Lock()

    def append(self, lines: Sequence[bytes], keys: Sequence[str] | None = None) -> dict[str, int]:
        """Append records and wait until the brokers have them; returns the position behind them, by partition.

        Parameters
        ----------
        lines : sequence of bytes
            Their values.
        keys : sequence of str, optional
            Their keys; without, the library chooses partitions.

        Raises
        ------
        UnreachableError
            If the brokers could not be reached for too long. Some of the records may be there all the same.
        StreamError
            If they refuse a record, or the topic is not there.
        """
        producer = self._ready()
        sent = _Sent(len(lines))
        deadline = time.monotonic() + self._reach_seconds + _SLACK_SECONDS
        for number, line in enumerate(lines):
            self._produce(producer, line, None if keys is None else keys[number], sent, deadline)
        while not sent.is_done and time.monotonic() < deadline:
            producer.poll(_SLICE_SECONDS)
        if not sent.is_done or sent.error is not None:
            raise self._undelivered(producer, sent)
        return {f"{self.name}/{number}": end for number, end in sorted(sent.ends.items())}

    def close(self) -> None:
        """Let go of the brokers."""
        if self._producer is not None:
            self._leave(self._producer)

    def _leave(self, producer: Producer) -> None:
        with self._turn:
            if self._producer is producer:
                self._producer = None
        producer.purge()

    def _ready(self) -> Producer:
        if not self._is_there:
            topic = self._asked()
            with closing(topic):  # a producer would make a topic that is not there
                topic.bounds()
            self._is_there = True
        with self._turn:
            if self._producer is None:
                self._producer = self._made()
            return self._producer

    def _made(self) -> Producer:
        try:
            return Producer({**self._given, **self._own, "error_cb": self._noted})
        except (KafkaException, ValueError, TypeError) as error:
            raise refused(error, self._given) from None  # the cause would show them

    def _produce(self, producer: Producer, line: bytes, key: str | None, sent: _Sent, deadline: float) -> None:
        while True:
            try:
                producer.produce(self.name, line, key, on_delivery=sent.report)
            except BufferError:
                if time.monotonic() > deadline:
                    raise self._undelivered(producer, sent) from None
                producer.poll(_SLICE_SECONDS)
            except KafkaException as error:
                sent.error = error.args[0]
                raise self._undelivered(producer, sent) from error
            else:
                return

    def _undelivered(self, producer: Producer, sent: _Sent) -> StreamError:
        """The error to raise; the next call begins with a new producer where this one has had its day."""
        error = sent.error
        if error is None or error.fatal() or error.name() == _TIMED_OUT:
            self._leave(producer)
        known = f"{sent.delivered:,} of {sent.wanted:,} rows are known to be there, and none is acknowledged"
        if error is None or passes(error) or error.name() in (_TIMED_OUT, "_PURGE_QUEUE", "_PURGE_INFLIGHT"):
            reason = self._reason or ("no answer" if error is None else error.str())
            return UnreachableError(
                f"Can't write to {self.location}: its brokers can't be reached ({reason}). {known}: push them again."
            )
        return StreamError(f"{failure('write to', self.location, error, self._reason)} {known}.")

    def _noted(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which says less than what comes before it
            self._reason = error.str()
