"""What can be asked about a topic: its partitions, how far they reach, who stamps its records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # it is there

from headrace.connectors.kafka_failures import failure, passes
from headrace.connectors.kafka_options import refuse_own, refused
from headrace.connectors.streams import Bounds
from headrace.errors import AgedOutError, StreamError

T = TypeVar("T")

FETCHING: Final = {
    "check.crcs": "true",
    "fetch.max.bytes": "52428800",
    "fetch.queue.backoff.ms": "5",  # else a reader that is as fast as the broker waits for a second each time
    "fetch.wait.max.ms": "25",  # how long a change of positions waits at most
    "max.partition.fetch.bytes": "4194304",
    "queued.max.messages.kbytes": "65536",
    "queued.min.messages": "100000",
    "reconnect.backoff.max.ms": "1000",
}
OURS: Final = {
    "auto.offset.reset": "error",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
}
"""Everything rests on these."""
_SILENT: Final = {"log_level": "2"}  # the library would print; what matters is raised
_HEAD: Final = -1  # these two stand for times
_EARLIEST: Final = -2
_PAUSE_SECONDS: Final = 0.05
_SHORTEST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 3.0  # signals are answered in between


class KafkaTopic:
    """A topic and its brokers. Nothing is connected before the first use.

    Parameters
    ----------
    bootstrap : str
        ``host:9092,…``.
    topic : str
        Its name.
    options : mapping of str to str
        librdkafka's.
    reach_seconds : float
        How long to go on asking while the brokers can't be reached.

    Raises
    ------
    SettingsError
        If an option is one that headrace sets itself.
    """

    def __init__(self, bootstrap: str, topic: str, options: Mapping[str, str], reach_seconds: float) -> None:
        refuse_own(options, OURS)
        self.name = topic
        self.location = f"topic '{topic}' of Kafka at {bootstrap}"
        self._options = {"bootstrap.servers": bootstrap, **_SILENT, **options}
        self._reach_seconds = reach_seconds
        self._reason = ""

    @cached_property
    def consumer(self) -> Consumer:
        """Reads it."""
        return self._opened(Consumer, {"group.id": "headrace", **FETCHING, **self._options, **OURS})

    def close(self) -> None:
        """Let go of the brokers."""
        if "consumer" in self.__dict__:
            self.consumer.close()
            del self.consumer

    def bounds(self) -> dict[int, Bounds]:
        """What of each partition can be read now, by its number."""
        return self._ask("read", self._bounds)

    def bounds_of(self, number: int) -> Bounds:
        """What of one partition can be read now."""
        return self._of(number, self.bounds())

    def stamps_arrival(self) -> bool:
        """Whether the brokers stamp each record with the time at which they took it."""
        return self._ask("ask the settings of", self._stamps_arrival)

    def offset_at(self, number: int, time_ms: int) -> int | None:
        """The offset of the first record of a partition with such a time or a later one; None if there is none."""
        found = self._ask("read", lambda seconds: self._offsets([number], max(time_ms, 0), seconds))[number]
        return None if found < 0 else found

    def check(self, positions: Mapping[int, int], ends: Mapping[int, int] | None = None) -> None:
        """Refuse to read on from positions that are not there.

        Parameters
        ----------
        positions : mapping of int to int
            By the number of the partition.
        ends : mapping of int to int, optional
            How far it will be read.

        Raises
        ------
        AgedOutError
            If a record at a position is not kept any more.
        StreamError
            If a position lies behind the head, or there is no such partition.
        """
        found = self.bounds()
        for number, position in positions.items():
            bounds = self._of(number, found)
            self._check_position(number, position, (ends or positions)[number], bounds)

    def _of(self, number: int, bounds: Mapping[int, Bounds]) -> Bounds:
        if number in bounds:
            return bounds[number]
        raise StreamError(
            f"{self.location} has no partition {number}; it has {len(bounds)}. If it had more, it was deleted and "
            "created again: reset the stream to read it anew."
        )

    def _check_position(self, number: int, position: int, end: int, bounds: Bounds) -> None:
        if position < bounds.earliest:
            raise AgedOutError(
                f"{self.location}, partition {number}: offset {position} is wanted next, but the earliest one that is "
                f"kept is {bounds.earliest}: {bounds.earliest - position} offsets are lost to the stream. Backfill "
                "that time from files, reset the stream to go on from there, and let the topic keep records longer "
                "(retention.ms)."
            )
        if end > bounds.head:
            raise StreamError(
                f"{self.location}, partition {number}: offset {end} was reached before, but now it ends at "
                f"{bounds.head}. The topic was deleted and created again, or its brokers lost records. Reset the "
                "stream to read it anew."
            )

    def _bounds(self, seconds: float) -> dict[int, Bounds]:
        numbers = self._partitions(seconds)
        earliest = self._offsets(numbers, _EARLIEST, seconds)
        heads = self._offsets(numbers, _HEAD, seconds)
        return {number: Bounds(earliest[number], heads[number]) for number in numbers}

    def _partitions(self, seconds: float) -> list[int]:
        found = self.consumer.list_topics(self.name, timeout=seconds).topics[self.name]
        if found.error is None:
            return sorted(found.partitions)
        if found.error.name() == "UNKNOWN_TOPIC_OR_PART":
            raise StreamError(f"{self.location} is not there. Create it, or mend its name in the source.")
        raise KafkaException(found.error)

    def _offsets(self, numbers: list[int], time_ms: int, seconds: float) -> dict[int, int]:
        """The first offset of such a time or a later one, in all partitions by one request to each broker."""
        asked = [TopicPartition(self.name, number, time_ms) for number in numbers]
        found = self.consumer.offsets_for_times(asked, timeout=seconds)
        if errors := [partition.error for partition in found if partition.error is not None]:
            raise KafkaException(errors[0])
        return {partition.partition: partition.offset for partition in found}

    def _stamps_arrival(self, seconds: float) -> bool:
        self._partitions(seconds)
        admin = self._opened(AdminClient, self._options)
        resource = ConfigResource(ConfigResource.Type.TOPIC, self.name)
        (answer,) = admin.describe_configs([resource], request_timeout=seconds).values()
        return bool(answer.result()["message.timestamp.type"].value == "LogAppendTime")

    def _ask(self, doing: str, ask: Callable[[float], T]) -> T:
        """Ask until there is an answer, or the brokers could not be reached for too long."""
        deadline = time.monotonic() + self._reach_seconds
        while True:
            left = deadline - time.monotonic()
            try:
                return ask(min(max(left, _SHORTEST_SECONDS), _LONGEST_SECONDS))
            except KafkaException as error:
                if left <= _SHORTEST_SECONDS or not passes(error.args[0]):
                    raise failure(doing, self.location, error.args[0], self._reason) from error
            self._hear()
            time.sleep(_PAUSE_SECONDS)

    def _hear(self) -> None:
        """Let the library say why it can't connect. While it stands somewhere, that would take a record from it."""
        if not self.consumer.assignment():
            self.consumer.poll(0)

    def _opened(self, client: Callable[[dict[str, Any]], T], settings: Mapping[str, str]) -> T:
        try:
            return client({**settings, "error_cb": self._noted})
        except (KafkaException, ValueError, TypeError) as error:
            raise refused(error, self._options) from None  # the cause would show them

    def _noted(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which says less than what comes before it
            self._reason = error.str()
