"""Change envelopes, one a line, as Debezium writes them. Bronze keeps the line.

The row is the image after the change; the one before it, for a deletion; nothing, for a truncate.
A row is known when the connector read the change (``ts_us``; ``ts_ms`` from older connectors): the
database's own times are whole seconds. Whole numbers in time columns are microseconds since 1970
(DATETIME), and days (DATE), in UTC unless the source declares a timezone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from headrace.connectors.base import FAILURES, RAW, Decoded
from headrace.connectors.columns import UTC, failures_where
from headrace.connectors.json_lines import decode_lines
from headrace.connectors.json_shape import JOIN, Shape
from headrace.connectors.jsonl import check_added, check_seen, typed
from headrace.connectors.lines import line_pieces
from headrace.definitions.sources import Source
from headrace.types import Int64, String

OPERATIONS: Final = ("c", "u", "d", "r", "t")
NO_POSITION: Final = "no log position"
UNKNOWN_OPERATION: Final = "unknown operation"
NO_TIME: Final = "no time of the connector"
_TOMBSTONE: Final = "null"
_BEFORE: Final = f"before{JOIN}"
_AFTER: Final = f"after{JOIN}"
_EITHER: Final = f"^(?:before|after){JOIN}"


@dataclass(frozen=True, slots=True)
class DebeziumReader:
    """Reads envelopes, bare or within ``payload``. Tombstones say nothing new and are left out.

    Parameters
    ----------
    source : Source
        Whose schema the images follow.
    """

    source: Source

    def pieces(self, path: Path) -> Iterator[pl.DataFrame]:
        """The lines as they are, but for tombstones; see `Reader.pieces`."""
        for piece in line_pieces(path):
            yield piece.filter(pl.col(RAW) != _TOMBSTONE)

    def decode(self, received: pl.DataFrame, *, whole: bool = True) -> Decoded:
        """Decode envelopes; see `Reader.decode`."""
        lines = _unwrapped(received[RAW])
        raw = decode_lines(lines, self._shape())
        seen = frozenset(path.split(JOIN, 1)[1] for path in raw.seen if path.startswith((_BEFORE, _AFTER)))
        if whole and raw.frame["op"].is_in(["c", "u", "d", "r"]).any():
            check_seen(self.source, raw, seen)
        added = tuple(dict.fromkeys(path.split(JOIN, 1)[1] for path in raw.added))
        check_added(self.source, added)
        images = _images(raw.frame, [*self.source.schema, *added])
        frame, failures = typed(images, dict(self.source.schema), self.source.timezone, lenient=True)
        frame = frame.with_columns(*images.select(added).get_columns(), *_log_columns(raw.frame))
        failed = pl.concat([_of_images(raw.failures, raw.frame["op"]), failures, _log_failures(frame, raw.failures)])
        return Decoded(frame, failed, added)

    def _shape(self) -> Shape:
        row = Shape(dict(self.source.schema), is_open=True, lenient=True)
        log = Shape({"file": String, "pos": Int64, "row": Int64, "lsn": Int64})
        return Shape(
            {"before": row, "after": row, "op": String, "ts_us": Int64, "ts_ms": Int64, "source": log}, lenient=True
        )


def _unwrapped(lines: pl.Series) -> pl.Series:
    """Envelopes without the schema that a converter may have put around them."""
    wrapped = lines.str.contains(r'^\{"schema":')
    if not wrapped.any():
        return lines
    return lines.zip_with(~wrapped, lines.str.extract(r'"payload": ?(.*)\}$'))


def _images(raw: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    def image(name: str) -> pl.Expr:
        sides = [pl.col(path) if path in raw.columns else pl.lit(None) for path in (_BEFORE + name, _AFTER + name)]
        return pl.when(pl.col("op") == "d").then(sides[0]).otherwise(sides[1]).alias(name)

    return raw.select([image(name) for name in names])


def _log_columns(raw: pl.DataFrame) -> list[pl.Series]:
    number = pl.col(f"source{JOIN}row").fill_null(0).cast(pl.String).str.zfill(6)
    in_file = pl.format(
        "{}:{}:{}", pl.col(f"source{JOIN}file"), pl.col(f"source{JOIN}pos").cast(pl.String).str.zfill(12), number
    )
    in_wal = pl.col(f"source{JOIN}lsn").cast(pl.String).str.zfill(20)
    known_us = pl.coalesce("ts_us", pl.col("ts_ms") * 1_000)
    return raw.select(
        pl.col("op").alias("_hr_op"),
        pl.coalesce(in_file, in_wal).alias("_hr_position"),
        known_us.cast(UTC).alias("_hr_available"),
    ).get_columns()


def _of_images(failures: pl.DataFrame, op: pl.Series) -> pl.DataFrame:
    """Failures by column; those of the image that is not used are none."""
    column, deleted = pl.col("column"), pl.col("deleted")
    marked = failures.with_columns(deleted=op.gather(failures["index"]).eq_missing("d"))
    used = marked.filter(
        column.is_null()
        | (column.str.starts_with(_BEFORE) & deleted)
        | (column.str.starts_with(_AFTER) & ~deleted)
        | ~column.str.contains(_EITHER)
    )
    return used.with_columns(column.str.replace(_EITHER, "")).select(FAILURES.names())


def _log_failures(frame: pl.DataFrame, failed: pl.DataFrame) -> pl.DataFrame:
    whole = pl.int_range(frame.height, dtype=pl.UInt32, eager=True).is_in(failed["index"].implode()).not_()
    op, position, known = frame["_hr_op"], frame["_hr_position"], frame["_hr_available"]
    unknown = whole & ~op.is_in(OPERATIONS).fill_null(value=False)
    return pl.concat([
        failures_where(unknown, UNKNOWN_OPERATION, op.alias("op")),
        failures_where(whole & position.is_null(), NO_POSITION, position.alias("source")),
        failures_where(whole & known.is_null(), NO_TIME, known.alias("ts_us")),
    ])  # fmt: skip
