"""The types of definitions as Polars types, and back."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from headrace.errors import DefinitionError
from headrace.types import DataType, Decimal, List, Timestamp, Vector

_PLAIN: dict[str, pl.DataType] = {
    "Bool": pl.Boolean(),
    "Int8": pl.Int8(),
    "Int16": pl.Int16(),
    "Int32": pl.Int32(),
    "Int64": pl.Int64(),
    "UInt8": pl.UInt8(),
    "UInt16": pl.UInt16(),
    "UInt32": pl.UInt32(),
    "Float32": pl.Float32(),
    "Float64": pl.Float64(),
    "String": pl.String(),
    "Binary": pl.Binary(),
    "Date": pl.Date(),
    "Timestamp": pl.Datetime("us", "UTC"),
}


def to_polars(dtype: DataType) -> pl.DataType:
    """A type of the definitions as a Polars type; instants are microseconds in UTC."""
    if dtype.name == "Decimal":
        return pl.Decimal(dtype.size, dtype.scale or 0)
    if dtype.inner is not None:
        inner = to_polars(dtype.inner)
        return pl.Array(inner, dtype.size or 1) if dtype.name == "Vector" else pl.List(inner)
    return _PLAIN[dtype.name]


def from_polars(dtype: pl.DataType) -> DataType:
    """A Polars type as a type of the definitions.

    Raises
    ------
    DefinitionError
        If there is none for it, or it is a time without a zone.
    """
    if isinstance(dtype, pl.Decimal):
        return Decimal(min(dtype.precision or 18, 18), dtype.scale)
    if isinstance(dtype, pl.Array):
        return Vector(from_polars(pl.Series([], dtype=dtype.inner).dtype), dtype.size)
    if isinstance(dtype, pl.List):
        return List(from_polars(pl.Series([], dtype=dtype.inner).dtype))
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            raise DefinitionError("a time without a zone: give it one, e.g. with dt.replace_time_zone('UTC').")
        return Timestamp
    for name, plain in _PLAIN.items():
        if plain == dtype:
            return DataType(name)
    raise DefinitionError(f"there is no headrace type for Polars' {dtype}; cast the column.")


def polars_schema(columns: Mapping[str, DataType]) -> pl.Schema:
    """A schema of the definitions as a Polars schema."""
    return pl.Schema({name: to_polars(dtype) for name, dtype in columns.items()})
