"""The mark of a writer of topics, which says how far it has come; and the topics themselves.

The mark is an offset of a consumer group for a topic in which nothing is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it is there

from headrace.connectors.kafka_failures import failure, passes
from headrace.connectors.kafka_options import refused
from headrace.connectors.transactions import AbortedError
from headrace.errors import StreamError

T = TypeVar("T")

SLICE_SECONDS: Final = 3.0  # signals are answered in between
PAUSE_SECONDS: Final = 0.05
_SILENT: Final = {"log_level": "2"}  # the library would print; what matters is raised
_SETTLING: Final = frozenset({
    "CONCURRENT_TRANSACTIONS", "COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR",
    "UNSTABLE_OFFSET_COMMIT",
})  # fmt: skip


class Mark:
    """The mark of a writer. Nothing is connected before the first use.

    Parameters
    ----------
    bootstrap : str
        The brokers: ``host:9092,…``.
    group : str
        The consumer group.
    topic : str
        The topic whose partition 0 the mark is an offset of.
    options : mapping of str to str
        librdkafka's.
    reach_seconds : float
        How long to go on while the brokers can't be reached.
    """

    def __init__(
        self, bootstrap: str, group: str, topic: str, options: Mapping[str, str], reach_seconds: float
    ) -> None:
        self.location = f"Kafka at {bootstrap}"
        self.group, self.topic = group, topic
        self.reason = ""
        self._options = {"bootstrap.servers": bootstrap, **_SILENT, **options}
        self._reach_seconds = reach_seconds
        self._admin: AdminClient | None = None
        self._consumers: dict[bool, Consumer] = {}

    def make_topics(self, names: Iterable[str]) -> list[str]:
        """Make the topics that are not there, with the partitions and copies that are the brokers' defaults.

        Returns
        -------
        list of str
            Which were made.

        Raises
        ------
        StreamError
            If they can't be made: says how to do it by hand.
        """
        wanted = sorted({*names, self.topic})
        there = self._ask(
            "list the topics of", lambda seconds: self._administered().list_topics(timeout=seconds)
        ).topics
        return [name for name in wanted if name not in there and self._made(name)]

    def read(self, *, settled: bool) -> int | None:
        """The mark of the last transaction that was committed; None if there is none, or it is kept no more.

        Parameters
        ----------
        settled : bool
            Wait for the end of a transaction that is being committed or aborted; else it is as if it were not there.
        """
        place = self.place()

        def ask(seconds: float) -> int:
            (found,) = self.consumer(settled=settled).committed([place], seconds)
            if found.error is not None:
                raise KafkaException(found.error)
            return int(found.offset)

        offset = self._ask("read the mark in", ask)
        return offset if offset >= 0 else None

    def place(self, mark: int | None = None) -> TopicPartition:
        """Where the mark is; or one that is to be there."""
        return TopicPartition(self.topic, 0) if mark is None else TopicPartition(self.topic, 0, mark)

    def consumer(self, *, settled: bool) -> Consumer:
        """A consumer that never joins the group. It is asked instead of the admin client, which can end the process."""
        if settled not in self._consumers:
            level = "read_committed" if settled else "read_uncommitted"
            own = {"group.id": self.group, "enable.auto.commit": "false", "isolation.level": level}
            self._consumers[settled] = self.client(Consumer, own)
        return self._consumers[settled]

    def client(self, client: Callable[[dict[str, Any]], T], settings: Mapping[str, Any]) -> T:
        """A client of these brokers.

        Raises
        ------
        SettingsError
            If it refuses its options.
        """
        try:
            return client({**self._options, **settings, "error_cb": self._noted})
        except (KafkaException, ValueError, TypeError) as error:
            raise refused(error, self._options) from None  # the cause would show them

    def close(self) -> None:
        """Let go of the brokers."""
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers, self._admin = {}, None

    # ------------------------------------------------------------ inside

    def _administered(self) -> AdminClient:
        if self._admin is None:
            self._admin = self.client(AdminClient, {})
        return self._admin

    def _made(self, name: str) -> bool:
        topic = NewTopic(name, num_partitions=-1, replication_factor=-1)
        try:
            self._ask(
                f"make the topic '{name}' of",
                lambda seconds: self._administered().create_topics([topic], request_timeout=seconds)[name].result(),
            )
        except StreamError as error:
            cause = error.__cause__
            if isinstance(cause, KafkaException) and cause.args[0].name() == "TOPIC_ALREADY_EXISTS":
                return False
            raise StreamError(
                f"{error} Or make it by hand: kafka-topics.sh --create --topic {name} --partitions N."
            ) from error
        return True

    def _ask(self, doing: str, ask: Callable[[float], T]) -> T:
        """Ask until there is an answer, or the brokers could not be reached for too long."""
        deadline = time.monotonic() + self._reach_seconds
        while True:
            try:
                answer = ask(SLICE_SECONDS)
            except KafkaException as error:
                found: KafkaError = error.args[0]
                passing = passes(found) or found.name() in _SETTLING
                if not passing or time.monotonic() > deadline:
                    kind = AbortedError if passing else StreamError
                    raise kind(str(failure(doing, self.location, found, self.reason))) from error
            else:
                self.reason = ""
                return answer
            time.sleep(PAUSE_SECONDS)

    def _noted(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which says less than what comes before it
            self.reason = error.str()
