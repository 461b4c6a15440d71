"""JSON lines: one object a line. Bronze keeps the line; the keys are the source's columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from headrace.connectors.arrival_stamps import MALFORMED, unstamped
from headrace.connectors.base import RAW, UNPARSABLE, Decoded, no_failures
from headrace.connectors.columns import failures_where, narrowed, parse_text
from headrace.connectors.json_lines import RawRows, decode_lines
from headrace.connectors.json_shape import Shape
from headrace.connectors.lines import line_pieces
from headrace.connectors.streams import APPENDED
from headrace.definitions.names import SYSTEM_PREFIX
from headrace.definitions.sources import Source
from headrace.errors import SchemaChangedError, SourceError
from headrace.types import DataType


@dataclass(frozen=True, slots=True)
class JsonLinesReader:
    """Reads JSON lines; a missing key is null, a line that is no object fails.

    Parameters
    ----------
    source : Source
        Whose schema the keys follow.
    """

    source: Source

    def pieces(self, path: Path) -> Iterator[pl.DataFrame]:
        """The lines as they are, but for when a log took them; see `Reader.pieces`."""
        for piece in line_pieces(path):
            lines = unstamped(piece)
            yield lines if lines[APPENDED].count() else piece

    def decode(self, received: pl.DataFrame, *, whole: bool = True) -> Decoded:
        """Decode lines; see `Reader.decode`."""
        raw = decode_lines(received[RAW], Shape(self.source.schema, is_open=True))
        if whole:
            check_seen(self.source, raw, raw.seen)
        frame, failures = typed(raw.frame, self.source.schema, self.source.timezone)
        added = tuple(name for name in raw.added if name != APPENDED)
        check_added(self.source, added)
        values = frame.with_columns(*raw.frame.select(added).get_columns())
        return Decoded(values, pl.concat([raw.failures, failures, _malformed_stamps(raw)]), added)


def typed(
    raw: pl.DataFrame, schema: Mapping[str, DataType], timezone: str | None, *, lenient: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Raw columns in their declared types, and what is none of their values."""
    columns, failures = [], []
    for name, dtype in schema.items():
        values = raw[name]
        if values.dtype == pl.String:
            made, failed = parse_text(values, dtype, timezone, epochs=lenient)
        else:
            made, failed = narrowed(values, dtype)
        columns.append(made)
        failures.append(failed)
    return pl.DataFrame(columns), pl.concat(failures)


def _malformed_stamps(raw: RawRows) -> pl.DataFrame:
    """The rows that still have a stamp of their arrival: it is not as `headrace push` writes it."""
    if APPENDED not in raw.frame.columns:
        return no_failures()
    return failures_where(raw.frame[APPENDED].is_not_null(), MALFORMED, raw.frame[APPENDED])


def check_added(source: Source, added: Sequence[str]) -> None:
    """Refuse keys that silver can't have as columns.

    Raises
    ------
    SourceError
        If a key is empty, or headrace's own.
    """
    if own := [name for name in added if name.startswith(SYSTEM_PREFIX) or not name]:
        raise SourceError(f"{source.where}: a key is '{own[0]}'; it needs a name that does not begin with _hr_.")


def check_seen(source: Source, raw: RawRows, seen: frozenset[str]) -> None:
    """Refuse rows that all lack a declared column: it was dropped or renamed upstream.

    Raises
    ------
    SchemaChangedError
        Naming the columns, and those that came instead.
    """
    broken = raw.failures.filter(pl.col("reason") == UNPARSABLE).height
    missing = [name for name in source.schema if name not in seen]
    if not missing or raw.frame.height == broken:
        return
    instead = f" Not declared, but there: {', '.join(raw.added)}." if raw.added else ""
    raise SchemaChangedError(
        f"{source.where}: no row has the column {', '.join(map(repr, missing))}, which it declares.{instead} "
        "Restore it upstream, or change the schema. Nothing was published."
    )
