"""Messages of a topic from given positions on, and how far they reach."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import Message, TopicPartition

from headrace.connectors.kafka_failures import failure, passes
from headrace.connectors.kafka_topic import KafkaTopic

_SIGN_SECONDS: Final = 1.0
_END: Final = "_PARTITION_EOF"
_OUT_OF_RANGE: Final = "_AUTO_OFFSET_RESET"


class KafkaReader:
    """Stands at a position in each partition that it reads.

    What the library fetched ahead is kept as long as it is asked to go on where it stands.

    Parameters
    ----------
    topic : KafkaTopic
        What to read.
    """

    def __init__(self, topic: KafkaTopic) -> None:
        self._topic = topic
        self._stands: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._is_lost = True
        self._last_sign = 0.0

    def stands_at(self, wanted: Mapping[int, int]) -> bool:
        """Whether it stands just there."""
        return not self._is_lost and self._stands == wanted

    def begin(self, wanted: Mapping[int, int]) -> None:
        """Go on from some positions."""
        consumer = self._topic.consumer
        if self._is_lost:
            consumer.assign(self._partitions(wanted))
            self._ends = {}
        else:
            self.leave([number for number in self._stands if self._stands[number] != wanted.get(number)])
            if new := {number: at for number, at in wanted.items() if number not in self._stands}:
                consumer.incremental_assign(self._partitions(new))
        self._stands, self._is_lost = dict(wanted), False

    def leave(self, numbers: Iterable[int]) -> None:
        """Read some partitions no more."""
        left = [number for number in numbers if number in self._stands]
        if left:
            self._topic.consumer.incremental_unassign([TopicPartition(self._topic.name, number) for number in left])
        for number in left:
            del self._stands[number]
            self._ends.pop(number, None)

    def next(self, most: int, seconds: float) -> list[Message]:
        """Wait for a message, and take with it what is there already.

        Raises
        ------
        AgedOutError, StreamError
            If the log can't be read on.
        """
        consumer = self._topic.consumer
        self._is_lost = True  # until `reached` has told how far it came
        came = consumer.consume(1, seconds)
        if came and most > 1:
            came += consumer.consume(most - 1, 0)
        if came:
            self._last_sign = time.monotonic()
        events = [message for message in came if message.error() is not None]
        for event in events:
            self._take_event(event)
        return [message for message in came if message.error() is None] if events else came

    def reached(self) -> dict[int, int]:
        """The position in each partition behind what was given out, markers of transactions included."""
        asked = [TopicPartition(self._topic.name, number) for number in self._stands]
        for found in self._topic.consumer.position(asked):  # negative where nothing was read yet
            number = found.partition
            self._stands[number] = max(self._stands[number], found.offset, self._ends.get(number, 0))
        self._is_lost = False
        return dict(self._stands)

    def has_all(self) -> bool:
        """Whether it gave out all that the brokers are known to have."""
        consumer, topic = self._topic.consumer, self._topic.name
        heads = {n: consumer.get_watermark_offsets(TopicPartition(topic, n), cached=True)[1] for n in self._stands}
        return all(0 <= heads[number] <= at for number, at in self.reached().items())

    def check_reach(self) -> None:
        """Ask the brokers for a sign of life, if there was none for a while: silence can mean that they are away.

        Raises
        ------
        StreamError
            If they can't be reached, or the topic is not there any more.
        """
        if time.monotonic() - self._last_sign > _SIGN_SECONDS:
            self._topic.bounds()
            self._last_sign = time.monotonic()

    def _take_event(self, event: Message) -> None:
        error = event.error()
        if error is None or passes(error):
            return
        if error.name() == _END:
            self._ends[event.partition()] = event.offset()  # type: ignore[index,assignment]  # it has both
            return
        if error.name() == _OUT_OF_RANGE:
            self._topic.check(self._stands)
        raise failure("read", f"{self._topic.location}, partition {event.partition()}", error)

    def _partitions(self, positions: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic.name, number, at) for number, at in positions.items()]
