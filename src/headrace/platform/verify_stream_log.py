"""What of a stream's log the stream has read and the batch lane has not."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.stream_opening import open_stream
from headrace.definitions.locations import Files
from headrace.errors import StreamError
from headrace.platform.decoding import reader_of
from headrace.platform.landing import BATCH
from headrace.platform.ledger import STREAM, Batch
from headrace.platform.silver import identity
from headrace.platform.stream_landing import Head
from headrace.platform.stream_rows import judged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headrace.definitions.sources import Source
    from headrace.lake.base import Table
    from headrace.platform.context import Context

_BATCH: Final = Batch("stream-", -1, 0, (), 1)
BY_STREAM: Final = pl.col(BATCH).str.starts_with(_BATCH.id)
"""Which rows of bronze and silver came by a stream."""
_MOST_RECORDS: Final = 2_000_000
_MOST_BYTES: Final = 1_000_000_000


def landed_positions(bronze: Table, silver: Table) -> Mapping[str, int]:
    """By partition, up to where all records are in silver; empty where none came by a stream."""
    head = Head.read(bronze)
    if head.batch is None or (silver.transaction_version(STREAM) or 0) >= head.epoch:
        return head.positions
    return {**head.positions, **{piece.name: piece.start for piece in head.batch.pieces}}


def judged_rows(context: Context, source: Source, received: pl.DataFrame) -> pl.DataFrame:
    """The rows of a stream's records that a contract accepts, in the columns of silver."""
    return judged(source, reader_of(source, _BATCH), received, context.clock(), _BATCH.id).rows


def read_behind(
    context: Context, source: Source, landed: Mapping[str, int], read: Mapping[str, int], notes: list[str]
) -> pl.DataFrame | None:
    """The records between two positions in each partition; None, and a note, where they can't be read.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        Whose stream it is.
    landed, read : mapping of str to int
        Up to where silver has each partition, and the stream.
    notes : list of str
        Is added to.
    """
    if not landed and not identity(source):
        notes.append(
            f"{source.where}: its rows came by files, and nothing tells them apart (dedupe_on=), so that it is not "
            "known which of the stream's records they are"
        )
        return None
    settings = context.settings
    try:
        opened = open_stream(source, context.root, settings.kafka, settings.kafka_options, settings.schema_registry)
        with closing(opened):
            bounds = opened.bounds()
            starts = {name: max(landed.get(name, 0), bounds[name].earliest) for name in read if name in bounds}
            ranges = {name: (start, read[name]) for name, start in starts.items() if start < read[name]}
            if _too_many(source, sum(end - start for start, end in ranges.values()), notes) or not ranges:
                return None
            return opened.read(ranges).frame
    except StreamError as error:
        notes.append(f"what the batch lane has not ingested could not be read: {error}")
        return None


def _too_many(source: Source, length: int, notes: list[str]) -> bool:
    most, unit = (_MOST_BYTES, "bytes") if isinstance(source.stream, Files) else (_MOST_RECORDS, "records")
    if length <= most:
        return False
    notes.append(
        f"the batch lane is {length:,} {unit} behind the stream, too many to be read here. "
        f"Run: headrace ingest {source.name} --follow --until-idle"
    )
    return True
