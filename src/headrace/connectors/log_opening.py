"""Where rows that are pushed to a source are written: the log that its stream reads."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headrace.connectors.kafka_library import kafka_library
from headrace.connectors.tailed_writing import TailedLog
from headrace.definitions.locations import Debezium, Files, Kafka, Location
from headrace.definitions.sources import EventSource, Source
from headrace.errors import DefinitionError, SettingsError


class Log(Protocol):
    """Appends records to a topic, or to files that are tailed. Used by several threads at once."""

    @property
    def location(self) -> str:
        """Where it is, for people: without a password."""

    def append(self, lines: Sequence[bytes], keys: Sequence[str] | None = None) -> Mapping[str, int]:
        """Append records and wait until they are durable.

        Parameters
        ----------
        lines : sequence of bytes
            A JSON object each, without an end of line within.
        keys : sequence of str, optional
            By what a topic is keyed.

        Returns
        -------
        mapping of str to int
            By partition, as the stream's reader calls it, the position behind them.

        Raises
        ------
        StreamError
            If they can't be written. None of them is acknowledged.
        """

    def close(self) -> None:
        """Let go of it."""


@dataclass(slots=True)
class Logs:
    """The logs that a process writes, each opened once. Used by several threads at once."""

    _open: dict[object, Log] = field(default_factory=dict, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def of(self, source: Source, root: Path, kafka: str, options: Mapping[str, str]) -> Log:
        """The log of a source; see `writable` for what it refuses.

        Parameters
        ----------
        source : Source
            What has the stream.
        root : Path
            The project's folder, to which a pattern of files is relative.
        kafka : str
            The brokers: ``host:9092,…``; empty for none.
        options : mapping of str to str
            librdkafka's, such as ``security.protocol``.
        """
        location = writable(source)
        place = (location, root, kafka, tuple(sorted(options.items())))
        with self._turn:
            if place not in self._open:
                self._open[place] = _opened(source, location, root, kafka, options)
            return self._open[place]

    def close(self) -> None:
        """Let go of all."""
        with self._turn:
            for log in self._open.values():
                log.close()
            self._open.clear()


def writable(source: Source) -> Files | Kafka:
    """The stream of a source, if rows can be pushed into it.

    Raises
    ------
    DefinitionError
        If not: says why, and what to do.
    """
    location: Location | None = source.stream
    if location is None:
        raise DefinitionError(
            f"{source.where} has no stream, which is what pushed rows go into. Give it one, stream=hr.Kafka("
            f"'{source.name}') or stream=hr.Files('in/*.jsonl'); or put files where its batch= is, and run "
            f"`headrace ingest {source.name}`."
        )
    is_log = isinstance(location, Debezium) or (isinstance(location, Files) and location.format == "debezium")
    if is_log or not isinstance(source, EventSource):
        raise DefinitionError(
            f"{source.where} has the changes of a table, which a connector of the database writes. Change the table, "
            "or push events to an event source."
        )
    if isinstance(location, Kafka) and location.format != "json":
        raise DefinitionError(
            f"{source.where}: the topic '{location.topic}' is {location.format}, and pushed rows are written as JSON "
            "alone. Produce to it with a client of its schema registry, or give the source a topic of JSON."
        )
    assert not isinstance(location, Debezium)
    return location


def _opened(source: Source, location: Files | Kafka, root: Path, kafka: str, options: Mapping[str, str]) -> Log:
    if isinstance(location, Files):
        return TailedLog(root, location)
    if not kafka:
        raise SettingsError(
            f"{source.where} is the topic '{location.topic}', but it is not said where Kafka is: set "
            'kafka = "host:9092" in headrace.toml, or HEADRACE_KAFKA.'
        )
    with kafka_library(source):
        from headrace.connectors.kafka_pushing import KafkaLog
    return KafkaLog(kafka, location.topic, dict(options), location.partitioner)
