"""Where a source's rows come from. These are specifications: `connectors` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from headrace.errors import DefinitionError

FORMATS = ("parquet", "csv", "jsonl", "debezium")
MESSAGE_FORMATS = ("json", "avro", "protobuf")
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
    """

    topic: str
    format: str = "json"

    def __post_init__(self) -> None:
        """Check the format."""
        if self.format not in MESSAGE_FORMATS:
            raise DefinitionError(
                f"Kafka('{self.topic}'): format '{self.format}' is none of {', '.join(MESSAGE_FORMATS)}."
            )


@dataclass(frozen=True, slots=True)
class Debezium:
    """A Kafka topic of Debezium change envelopes."""

    topic: str


Location = Files | Kafka | Debezium
