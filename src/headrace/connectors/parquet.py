"""Parquet. Bronze keeps the values; whole numbers and floats in their widest type, so that none ever changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from headrace.connectors.base import FAILURES, PIECE_ROWS, ROW, Decoded
from headrace.connectors.columns import (
    NO_SUCH_TIME,
    WRONG_TYPE,
    failures_where,
    localised,
    narrowed,
    parse_text,
    polars_type,
)
from headrace.connectors.files import unreadable
from headrace.connectors.headers import check_columns
from headrace.definitions.sources import Source
from headrace.errors import SchemaChangedError, SourceError, TimeError
from headrace.types import DataType

_NAIVE: Final = pl.Datetime("us")
_INTEGERS: Final = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32")
_WIDENS: Final[dict[str, tuple[str, ...]]] = {
    "Int16": ("Int8", "UInt8"),
    "Int32": ("Int8", "Int16", "UInt8", "UInt16"),
    "Int64": _INTEGERS,
    "UInt16": ("UInt8",),
    "UInt32": ("UInt8", "UInt16"),
    "Float32": ("Float16", "Int8", "Int16", "UInt8", "UInt16"),
    "Float64": ("Float16", "Float32", "Int8", "Int16", "Int32", "UInt8", "UInt16", "UInt32"),
    "String": ("Categorical", "Enum"),
}
"""For a declared type, the narrower ones whose every value it holds exactly."""


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Reads Parquet; a narrower type than the declared one is fine, any other is refused.

    Parameters
    ----------
    source : Source
        Whose columns the file must have; their order is free.
    """

    source: Source

    def pieces(self, path: Path) -> Iterator[pl.DataFrame]:
        """The rows; see `Reader.pieces`."""
        scan, schema, rows = _opened(path)
        check_columns(self.source, path, schema.names())
        columns = [self._kept(path, name, dtype) for name, dtype in schema.items() if dtype != pl.Null]
        columns += [
            _nothing(self.source, name) for name, t in schema.items() if t == pl.Null and name in self.source.schema
        ]
        for first in range(0, rows, PIECE_ROWS):
            try:
                piece = scan.slice(first, PIECE_ROWS).select(columns).collect()
            except pl.exceptions.PolarsError as error:
                raise _damaged(path, error) from error
            yield piece.with_columns(pl.int_range(first + 1, first + 1 + piece.height, dtype=pl.Int64).alias(ROW))

    def decode(self, received: pl.DataFrame, *, whole: bool = True) -> Decoded:
        """Place naive times in the source's zone; see `Reader.decode`."""
        columns, failures = [], [pl.DataFrame(schema=FAILURES)]
        for name, dtype in self.source.schema.items():
            values, failed = _declared(self.source, received[name], dtype)
            columns.append(values)
            failures.append(failed)
        added = tuple(c for c in received.columns if c not in self.source.schema and not c.startswith("_hr_"))
        return Decoded(pl.DataFrame([*columns, *received.select(added).get_columns()]), pl.concat(failures), added)

    def _kept(self, path: Path, name: str, dtype: pl.DataType) -> pl.Expr:
        declared = self.source.schema.get(name)
        if declared is not None:
            self._check_type(path, name, dtype, declared)
        return _wide(name, dtype)

    def _check_type(self, path: Path, name: str, dtype: pl.DataType, declared: DataType) -> None:
        if declared.name == "Timestamp" and isinstance(dtype, pl.Datetime):
            self._check_zone(path, name, dtype)
        elif dtype != polars_type(declared) and not _widens(dtype, declared):
            raise SchemaChangedError(
                f"{path}: column '{name}' is {dtype}, and {self.source.where} declares {declared}. "
                "Write it as declared, or change the schema. Nothing was published."
            )

    def _check_zone(self, path: Path, name: str, dtype: pl.Datetime) -> None:
        if dtype.time_zone is None and self.source.timezone is None:
            raise TimeError(
                f"{path}: the times of column '{name}' have no time zone, and there is no right one to guess. "
                f"Write them with one, or say timezone='Europe/Paris' (theirs) in {self.source.where}."
            )


def _opened(path: Path) -> tuple[pl.LazyFrame, pl.Schema, int]:
    try:
        with path.open("rb"):
            pass
        scan = pl.scan_parquet(path, hive_partitioning=False)
        return scan, scan.collect_schema(), scan.select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        raise _damaged(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _damaged(path: Path, error: Exception) -> SourceError:
    reason = str(error).strip().splitlines()[0]
    return SourceError(f"{path} is no whole Parquet file ({reason}). It may be truncated: fetch or write it again.")


def _widens(found: pl.DataType, declared: DataType) -> bool:
    """Whether each value of the file's type is one of the declared type."""
    wanted = polars_type(declared)
    if isinstance(found, pl.Decimal) and isinstance(wanted, pl.Decimal):
        digits = (found.precision or 38) - found.scale
        return found.scale <= wanted.scale and digits <= (wanted.precision or 38) - wanted.scale
    if isinstance(found, pl.List | pl.Array) and declared.is_nested and declared.inner is not None:
        inner = pl.Series([], dtype=found.inner).dtype
        return inner == polars_type(declared.inner) or _widens(inner, declared.inner)
    return type(found).__name__ in _WIDENS.get(declared.name, ())


def _declared(source: Source, values: pl.Series, dtype: DataType) -> tuple[pl.Series, pl.DataFrame]:
    """A column of bronze in its declared type, and what is none of its values."""
    wanted, none_failed = polars_type(dtype), pl.DataFrame(schema=FAILURES)
    if values.dtype == _NAIVE and dtype.name == "Timestamp":
        local, skipped = localised(values, source.timezone)
        return local, failures_where(skipped, NO_SUCH_TIME, values)
    if values.dtype == wanted:
        return values, none_failed
    if values.dtype.is_numeric() and wanted.is_numeric():
        return narrowed(values, dtype)
    if dtype.is_nested and values.dtype.is_nested():
        return _nested(values, dtype)
    if values.dtype == pl.String:
        return parse_text(values, dtype, source.timezone)
    raise SchemaChangedError(
        f"{source.where}, column '{values.name}': bronze has {values.dtype}, and {dtype} is declared. Declare what "
        "came, or ingest under the name of a new source."
    )


def _nested(values: pl.Series, dtype: DataType) -> tuple[pl.Series, pl.DataFrame]:
    wanted = polars_type(dtype)
    if dtype.name != "Vector":
        return values.cast(wanted), pl.DataFrame(schema=FAILURES)
    lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    whole = (lists.list.len() == dtype.size) & ~lists.list.eval(pl.element().is_null()).list.any()
    failed = failures_where(lists.is_not_null() & ~whole, WRONG_TYPE, values)
    return lists.set(~whole.fill_null(value=False), None).cast(wanted), failed


def _nothing(source: Source, name: str) -> pl.Expr:
    """A column without a value or a type."""
    return _wide(name, polars_type(source.schema[name]), pl.lit(None, dtype=polars_type(source.schema[name])))


def _wide(name: str, dtype: pl.DataType, column: pl.Expr | None = None) -> pl.Expr:
    """A column in a type that stays when the file's, or the declared one, gets wider."""
    column = pl.col(name) if column is None else column.alias(name)
    if dtype.is_integer():
        return column.cast(pl.Decimal(20, 0) if dtype == pl.UInt64 else pl.Int64())
    if dtype.is_float():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime):
        instant = column.dt.convert_time_zone("UTC") if dtype.time_zone else column
        return instant.dt.cast_time_unit("us")
    if isinstance(dtype, pl.Duration):
        return column.dt.total_microseconds()
    if dtype.is_nested() or dtype in (pl.Boolean, pl.Binary, pl.Date) or isinstance(dtype, pl.Decimal):
        return column
    return column.cast(pl.String)
