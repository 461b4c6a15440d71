"""What every format offers: files in pieces as they came, and pieces decoded as the source declares.

A piece is what bronze keeps. Decoding happens on the way to silver, so that bronze can be decoded
again after a source's definition was mended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from headrace.definitions.locations import Files
from headrace.definitions.sources import Source

ROW: Final = "_hr_row"
"""Where a row stood in its file: the line of a text file, the number of a row from 1 elsewhere."""
RAW: Final = "_hr_raw"
"""The line as it came."""
FAILURES: Final = pl.Schema(
    [("index", pl.UInt32()), ("reason", pl.String()), ("column", pl.String()), ("found", pl.String())]
)
"""Why rows fail: the row's place in its frame, the reason, the column (null: the whole row) and what was found."""

PIECE_BYTES: Final = 128 * 1024 * 1024
PIECE_ROWS: Final = 1_000_000
UNPARSABLE: Final = "unparsable line"
LONGEST_FOUND: Final = 80


def no_failures() -> pl.DataFrame:
    """No row fails."""
    return pl.DataFrame(schema=FAILURES)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows as their source declares them.

    Attributes
    ----------
    frame : polars.DataFrame
        One row for each row received, in order: the declared columns in their types, then columns
        that were added upstream. A value that can't be decoded is null and has a failure. From
        change envelopes also ``_hr_op``, ``_hr_position`` and ``_hr_available``.
    failures : polars.DataFrame
        As `FAILURES`.
    added : tuple of str
        The columns that the source does not declare.
    """

    frame: pl.DataFrame
    failures: pl.DataFrame = field(default_factory=no_failures)
    added: tuple[str, ...] = ()


class Reader(Protocol):
    """Reads the files of one source."""

    def pieces(self, path: Path) -> Iterator[pl.DataFrame]:
        """Read a file as it is, in pieces of bounded size and `ROW`, the same pieces each time.

        Raises
        ------
        SourceError
            If the file can't be read: it is missing, truncated, empty or of another encoding.
        SchemaChangedError
            If it lacks a column that is declared, or has one of another type.
        """

    def decode(self, received: pl.DataFrame, *, whole: bool = True) -> Decoded:
        """Decode a piece, or several together; if not `whole`, just some rows of them.

        Raises
        ------
        SchemaChangedError
            If they are whole, and no row has a column that is declared.
        """


def open_reader(source: Source, files: Files) -> Reader:
    """The reader for the format of a source's files."""
    from headrace.connectors import csv, debezium, jsonl, parquet

    readers: dict[str, Callable[[Source], Reader]] = {
        "parquet": parquet.ParquetReader,
        "csv": csv.CsvReader,
        "jsonl": jsonl.JsonLinesReader,
        "debezium": debezium.DebeziumReader,
    }
    return readers[files.format](source)
