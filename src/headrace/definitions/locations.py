"""Where a source's rows come from. These are specifications: `connectors` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from headrace.errors import DefinitionError

FORMATS = ("parquet", "csv", "jsonl", "debezium")
MESSAGE_FORMATS = ("json", "avro", "protobuf")
PARTITIONERS = ("murmur2", "crc32")
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


@dataclass(frozen=True, slots=True)
class Files:
    """Files that match a pattern.

    Parameters
    ----------
    pattern : str
        A glob, relative to the project unless absolute. ``{date}`` stands for the day of a
        snapshot (YYYY-MM-DD).
    format : str
        ``parquet``, ``csv`` (with a header), ``jsonl`` (one object a line) or ``debezium`` (one
        change envelope a line). Told from the file's suffix where it is empty.
    """

    pattern: str
    format: str = ""

    def __post_init__(self) -> None:
        """Tell the format."""
        found = self.format or _SUFFIXES.get(PurePosixPath(self.pattern).suffix.lower(), "")
        if found not in FORMATS:
            raise DefinitionError(f"Files('{self.pattern}'): format '{self.format}' is none of {', '.join(FORMATS)}.")
        object.__setattr__(self, "format", found)


@dataclass(frozen=True, slots=True)
class Kafka:
    """A Kafka topic of events.

    Parameters
    ----------
    topic : str
        Its name.
    format : str
        What a message's value is: ``json``, or ``avro`` or ``protobuf`` with the number of a schema in a registry
        before it (the setting ``schema_registry`` says where that is).
    key : str
        The column that messages are keyed by, as text: so all rows with one value are in one partition, which is what
        several workers need. Empty where that is not so.
    partitioner : str
        How producers put a key into a partition: ``murmur2`` as Java's client, Kafka Connect and Flink do, or
        ``crc32`` as those on librdkafka (Python, Go, C#) do where nothing else is said. Asked for with `key` alone;
        the stream checks each row against it.
    """

    topic: str
    format: str = "json"
    key: str = ""
    partitioner: str = "murmur2"

    def __post_init__(self) -> None:
        """Check the format and the partitioner."""
        if self.partitioner not in PARTITIONERS:
            raise DefinitionError(
                f"Kafka('{self.topic}'): partitioner '{self.partitioner}' is none of {', '.join(PARTITIONERS)}."
            )
        if self.format not in MESSAGE_FORMATS:
            raise DefinitionError(
                f"Kafka('{self.topic}'): format '{self.format}' is none of {', '.join(MESSAGE_FORMATS)}."
            )


@dataclass(frozen=True, slots=True)
class Debezium:
    """A Kafka topic of Debezium change envelopes."""

    topic: str


Location = Files | Kafka | Debezium
