"""A log of each kind that a stream can read, with what it takes to write it."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # it is there

from data_platform.stack.topics import create_topic, delete_records
from headrace.connectors.kafka import KafkaStream
from headrace.connectors.streams import Stream
from headrace.connectors.tailed import TailedFiles
from headrace.definitions.locations import Files


class Log(ABC):
    """A log with two partitions, 0 and 1, that are empty."""

    @abstractmethod
    def name(self, partition: int) -> str:
        """What the stream calls a partition."""

    @abstractmethod
    def write(self, partition: int, *values: bytes) -> None:
        """Append records to a partition."""

    @abstractmethod
    def write_gap(self, partition: int) -> None:
        """Append what takes up offsets and is no record."""

    @abstractmethod
    def add_partition(self) -> int:
        """Make another partition; returns its number."""

    @abstractmethod
    def age_out(self, partition: int, position: int) -> None:
        """Let a partition lose its records before a position, if not more."""

    @abstractmethod
    def open(self) -> Stream:
        """Open a stream that reads it."""


class KafkaLog(Log):
    """A topic."""

    def __init__(self, bootstrap: str, *, append_time: bool = True) -> None:
        self.bootstrap = bootstrap
        self.topic = f"contract-{uuid.uuid4().hex[:12]}"
        create_topic(bootstrap, self.topic, partitions=2, append_time=append_time)
        self._producer = self._produces()
        self._asking: dict[str, Consumer] = {}

    def name(self, partition: int) -> str:
        return f"{self.topic}/{partition}"

    def write(self, partition: int, *values: bytes | None) -> None:
        for value in values:
            self._producer.produce(self.topic, value, partition=partition)
        assert self._producer.flush(20) == 0

    def write_gap(self, partition: int) -> None:
        producer = self.transactional()
        producer.begin_transaction()
        producer.produce(self.topic, b"never", partition=partition)
        producer.flush()
        producer.abort_transaction()
        self.settle()

    def settle(self) -> None:
        """Wait for the marks that end transactions: the brokers write them a little after they say that it ended."""
        deadline = time.monotonic() + 20
        while self._heads("read_committed") != self._heads("read_uncommitted"):
            assert time.monotonic() < deadline, f"a transaction on {self.topic} has not ended"
            time.sleep(0.01)

    def _heads(self, isolation: str) -> dict[int, int]:
        if isolation not in self._asking:
            settings = {"group.id": "contract", "isolation.level": isolation, "log_level": 2}
            self._asking[isolation] = Consumer({"bootstrap.servers": self.bootstrap, **settings})
        asking = self._asking[isolation]
        partitions = asking.list_topics(self.topic, timeout=20).topics[self.topic].partitions
        at_the_end = [TopicPartition(self.topic, number, -1) for number in partitions]
        return {found.partition: found.offset for found in asking.offsets_for_times(at_the_end, timeout=20)}

    def _produces(self) -> Producer:
        return Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 0, "log_level": 2})

    def transactional(self) -> Producer:
        """A producer of transactions."""
        identity = {"transactional.id": uuid.uuid4().hex, "retry.backoff.ms": 10, "log_level": 2}
        producer = Producer({"bootstrap.servers": self.bootstrap, **identity})
        producer.init_transactions()
        return producer

    def add_partition(self) -> int:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        count = len(admin.list_topics(self.topic, timeout=20).topics[self.topic].partitions)
        for made in admin.create_partitions([NewPartitions(self.topic, count + 1)]).values():
            made.result(20)
        self._producer = self._produces()  # the other one does not know of it yet
        return count

    def age_out(self, partition: int, position: int) -> None:
        delete_records(self.bootstrap, self.topic, {partition: position})

    def open(self) -> KafkaStream:
        return KafkaStream(self.bootstrap, self.topic)


class FilesLog(Log):
    """A folder of files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / "in").mkdir()
        self._count = 0
        self.add_partition()
        self.add_partition()

    def name(self, partition: int) -> str:
        return f"in/{partition}.jsonl"

    def write(self, partition: int, *values: bytes) -> None:
        with self.path(partition).open("ab") as file:
            file.write(b"".join(value + b"\n" for value in values))

    def write_gap(self, partition: int) -> None:
        self.write(partition, b"", b"")

    def path(self, partition: int) -> Path:
        """Where a file is."""
        return self._root / self.name(partition)

    def add_partition(self) -> int:
        self.path(self._count).touch()
        self._count += 1
        return self._count - 1

    def age_out(self, partition: int, position: int) -> None:
        self.path(partition).unlink()

    def open(self) -> TailedFiles:
        return TailedFiles(self._root, Files("in/*.jsonl"))
