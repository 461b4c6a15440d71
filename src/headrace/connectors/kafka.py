"""A topic of Kafka as a stream, read partition by partition without a consumer group.

Only committed records are read. What transactions leave between them (markers, aborted records) makes gaps, so
everything is bounded by offset and nothing by count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from typing import Final

from headrace.connectors.kafka_reader import KafkaReader
from headrace.connectors.kafka_records import Decode, Records
from headrace.connectors.kafka_topic import KafkaTopic
from headrace.connectors.streams import Bounds, Range, Received
from headrace.errors import StreamError

_BATCH: Final = 20_000  # larger ones fall out of the processor's cache
_SLICE_SECONDS: Final = 0.25  # signals are answered in between
_LULL_SECONDS: Final = 0.01
REACH_SECONDS: Final = 10.0


class KafkaStream:
    """Reads a topic; see `Stream`. Nothing is connected before the first use.

    Parameters
    ----------
    bootstrap : str
        The brokers: ``host:9092,…``.
    topic : str
        Its name. Partitions are called ``topic/0`` and so on.
    options : mapping of str to str, optional
        librdkafka's, such as ``security.protocol``.
    reach_seconds : float
        How long brokers may be out of reach before that is an error. `poll` waits for that longer than it was told
        to, if it has nothing and no broker answers.
    decode : callable, optional
        Makes JSON of values that are not.

    Raises
    ------
    SettingsError
        If an option is one that headrace sets itself.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        options: Mapping[str, str] | None = None,
        *,
        reach_seconds: float = REACH_SECONDS,
        decode: Decode | None = None,
    ) -> None:
        self._topic = KafkaTopic(bootstrap, topic, options or {}, reach_seconds)
        self._reader = KafkaReader(self._topic)
        self._decode = decode

    @property
    def location(self) -> str:
        """The topic and its brokers."""
        return self._topic.location

    @cached_property
    def measures_arrival(self) -> bool:
        """Whether the topic has ``message.timestamp.type=LogAppendTime``; asked once."""
        return self._topic.stamps_arrival()

    def bounds(self) -> dict[str, Bounds]:
        """What can be read of each partition now; the head lies before the first transaction that is open."""
        return dict(sorted((self._named(number), bounds) for number, bounds in self._topic.bounds().items()))

    def poll(self, positions: Mapping[str, int], most_rows: int, wait_seconds: float) -> Received:
        """Read on; see `Stream.poll`. Where it goes on at the ends that it returned, nothing is fetched twice."""
        deadline = time.monotonic() + wait_seconds
        self._begin({self._number(name): position for name, position in positions.items()})
        records = Records(self._topic.name, self._decode)
        while len(records) < most_rows:
            left = max(0.0, deadline - time.monotonic())
            patience = _LULL_SECONDS if records else _SLICE_SECONDS
            messages = self._reader.next(min(_BATCH, most_rows - len(records)), min(left, patience))
            records.add(messages)
            if not left or (records and (not messages or self._reader.has_all())):
                break
        ends = self._reader.reached()
        self._reader.check_reach()
        return Received(records.frame(), {self._named(number): end for number, end in ends.items()})

    def read(self, ranges: Mapping[str, Range]) -> Received:
        """Read ranges; see `Stream.read`."""
        some = {self._number(name): between for name, between in ranges.items() if between[0] < between[1]}
        ends = {number: end for number, (_, end) in some.items()}
        self._begin({number: start for number, (start, _) in some.items()}, ends)
        records = Records(self._topic.name, self._decode)
        waiting = set(some)
        while waiting:
            records.add(self._reader.next(_BATCH, _SLICE_SECONDS))
            done = {number for number, at in self._reader.reached().items() if at >= ends[number]}
            self._reader.leave(done)  # else it would be read on while others are waited for
            waiting -= done
            self._reader.check_reach()
        return Received(records.frame(ends), {name: end for name, (_, end) in ranges.items()})

    def position_at(self, partition: str, time_us: int) -> int:
        """The position of the first record that the brokers took at a time or later; see `Stream.position_at`."""
        bounds = self._topic.bounds_of(self._number(partition))
        if not self.measures_arrival:
            return bounds.earliest
        found = self._topic.offset_at(self._number(partition), -(-time_us // 1_000))
        return bounds.head if found is None else min(found, bounds.head)

    def close(self) -> None:
        """Let go of the brokers."""
        self._topic.close()
        self._reader = KafkaReader(self._topic)

    def _begin(self, wanted: Mapping[int, int], ends: Mapping[int, int] | None = None) -> None:
        if ends or not self._reader.stands_at(wanted):
            self._topic.check(wanted, ends)
        self._reader.begin(wanted)

    def _number(self, name: str) -> int:
        topic, _, number = name.rpartition("/")
        if topic != self._topic.name or not number.isdecimal():
            raise StreamError(f"{self.location} has no partition '{name}': they are '{self._topic.name}/0' and so on.")
        return int(number)

    def _named(self, number: int) -> str:
        return f"{self._topic.name}/{number}"
