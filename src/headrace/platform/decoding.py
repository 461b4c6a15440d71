"""Decoding a batch of bronze by the road on which it came: files in their format, a stream's records as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from headrace.connectors.base import Reader, open_reader
from headrace.connectors.streams import APPENDED
from headrace.definitions.locations import Debezium, Files
from headrace.definitions.sources import Source
from headrace.errors import SourceError
from headrace.platform.landing import ARRIVED, BATCH, FILE, ROW
from headrace.platform.ledger import Batch
from headrace.quality.base import AVAILABLE

if TYPE_CHECKING:
    import polars as pl

    from headrace.connectors.base import Decoded

FEW_ROWS: Final = 100
"""In an epoch of fewer rows, a column that none of them has does not count as dropped."""


def reader_of(source: Source, batch: Batch) -> Reader:
    """The reader for the format in which a batch came.

    Raises
    ------
    SourceError
        If the source does not name that road any more.
    """
    from headrace.connectors.debezium import DebeziumReader
    from headrace.connectors.jsonl import JsonLinesReader

    location = source.stream if batch.is_streamed else source.batch
    if location is None:
        road = "stream" if batch.is_streamed else "batch"
        raise SourceError(
            f"{source.where}: batch {batch.id} of bronze ({', '.join(batch.files[:3])}) came by {road}=, which the "
            f"source no longer has, so it is not known how to read it. Give the source its {road}= again."
        )
    if isinstance(location, Files):
        return open_reader(source, location)
    return DebeziumReader(source) if isinstance(location, Debezium) else JsonLinesReader(source)


def is_whole(batch: Batch) -> bool:
    """Whether a batch has rows enough to tell that a column was dropped."""
    return not batch.is_streamed or batch.rows >= FEW_ROWS


def with_origin(decoded: Decoded, received: pl.DataFrame) -> pl.DataFrame:
    """Decoded rows with their origin, their arrival and, where the log measured it, when they were known.

    An envelope's own time of being known is kept.
    """
    frame = decoded.frame.with_columns(received.select(FILE, ROW, BATCH, ARRIVED).get_columns())
    if AVAILABLE in frame.columns or APPENDED not in received.columns:
        return frame
    return frame.with_columns(received[APPENDED].alias(AVAILABLE))
