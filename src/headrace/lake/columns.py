"""The types of columns, as Delta stores them and as we read them back.

Delta has no unsigned integers, no fixed-length lists, and keeps naive times apart. Such columns are
stored as the next wider type, and the field's metadata says what they are; `logical` undoes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from headrace.errors import LakeError

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_TAG = "headrace.type"
_OF = " of "
_UTC = pl.Datetime("us", "UTC")
_NAIVE = pl.Datetime("us")
_PRIMITIVE: dict[PolarsDataType, str] = {
    pl.Boolean: "boolean", pl.Int8: "byte", pl.Int16: "short", pl.Int32: "integer", pl.Int64: "long",
    pl.Float32: "float", pl.Float64: "double", pl.String: "string", pl.Binary: "binary", pl.Date: "date",
    _UTC: "timestamp",
}  # fmt: skip
_BY_NAME = {name: dtype for dtype, name in _PRIMITIVE.items()}
_WIDER: dict[PolarsDataType, PolarsDataType] = {pl.UInt8: pl.Int16, pl.UInt16: pl.Int32, pl.UInt32: pl.Int64}
_TAGGED: dict[str, PolarsDataType] = {"UInt8": pl.UInt8, "UInt16": pl.UInt16, "UInt32": pl.UInt32, "Naive": _NAIVE}


def stored_type(dtype: PolarsDataType) -> PolarsDataType:
    """The type in which a column is kept in the files.

    Raises
    ------
    LakeError
        If a table can't hold the type.
    """
    if isinstance(dtype, pl.Array):
        return pl.List(stored_type(dtype.inner))
    if isinstance(dtype, pl.List):
        return pl.List(stored_type(dtype.inner))
    if isinstance(dtype, pl.Struct):
        return pl.Struct({field.name: stored_type(field.dtype) for field in dtype.fields})
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "us" and dtype.time_zone in (None, "UTC"):
        return _UTC
    if isinstance(dtype, pl.Decimal) or dtype in _PRIMITIVE:
        return dtype
    if dtype in _WIDER:
        return _WIDER[dtype]
    raise LakeError(f"a table can't hold a column of type {dtype}: cast it first.")


def stored(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with its columns in the types of the files."""
    casts = [_stored_expression(name, dtype) for name, dtype in frame.schema.items() if stored_type(dtype) != dtype]
    return frame.with_columns(casts) if casts else frame


def _stored_expression(name: str, dtype: PolarsDataType) -> pl.Expr:
    if dtype == _NAIVE:
        return pl.col(name).dt.replace_time_zone("UTC")
    return pl.col(name).cast(stored_type(dtype))


def logical(frame: pl.LazyFrame, schema: Mapping[str, PolarsDataType]) -> pl.LazyFrame:
    """Rows as they were given: the inverse of `stored`."""
    casts = [_logical_expression(name, dtype) for name, dtype in schema.items() if stored_type(dtype) != dtype]
    return frame.with_columns(casts) if casts else frame


def _logical_expression(name: str, dtype: PolarsDataType) -> pl.Expr:
    if dtype == _NAIVE:
        return pl.col(name).dt.replace_time_zone(None)
    return pl.col(name).cast(dtype)


def delta_fields(schema: Mapping[str, PolarsDataType]) -> list[dict[str, Any]]:
    """The columns as JSON fields of a Delta schema."""
    return [
        {"name": name, "type": _delta_type(dtype), "nullable": True, "metadata": {_TAG: tag} if tag else {}}
        for name, dtype in schema.items()
        for tag in [_tag(dtype)]
    ]


def _tag(dtype: PolarsDataType) -> str:
    """What the stored type doesn't tell; the fields of a struct have tags of their own."""
    if dtype == _NAIVE:
        return "Naive"
    if isinstance(dtype, pl.Array | pl.List):
        inner = _tag(dtype.inner)
        outer = f"Array {dtype.size}" if isinstance(dtype, pl.Array) else "List" if inner else ""
        return outer + (_OF + inner if inner else "")
    return str(dtype) if dtype in _WIDER else ""


def _delta_type(dtype: PolarsDataType) -> Any:
    if isinstance(dtype, pl.Array | pl.List):
        return {"type": "array", "elementType": _delta_type(dtype.inner), "containsNull": True}
    if isinstance(dtype, pl.Struct):
        return {"type": "struct", "fields": delta_fields({field.name: field.dtype for field in dtype.fields})}
    if isinstance(dtype, pl.Decimal):
        return f"decimal({dtype.precision},{dtype.scale})"
    return _PRIMITIVE[stored_type(dtype)]


def polars_schema(fields: list[dict[str, Any]]) -> pl.Schema:
    """The columns as they were given, from the JSON fields of a Delta schema."""
    return pl.Schema({field["name"]: _tagged(field) for field in fields})


def _tagged(field: Mapping[str, Any]) -> PolarsDataType:
    kept = _polars_type(field["type"])
    tag = field.get("metadata", {}).get(_TAG)
    return kept if tag is None else _undone(kept, tag)


def _undone(kept: PolarsDataType, tag: str) -> PolarsDataType:
    if tag in _TAGGED:
        return _TAGGED[tag]
    assert isinstance(kept, pl.List)
    outer, _, inner_tag = tag.partition(_OF)
    inner = _undone(kept.inner, inner_tag) if inner_tag else kept.inner
    return pl.List(inner) if outer == "List" else pl.Array(inner, int(outer.removeprefix("Array ")))


def _polars_type(kind: Any) -> PolarsDataType:
    if isinstance(kind, dict) and kind["type"] == "array":
        return pl.List(_polars_type(kind["elementType"]))
    if isinstance(kind, dict) and kind["type"] == "struct":
        return pl.Struct(dict(polars_schema(kind["fields"])))
    decimal = re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", str(kind))
    if decimal:
        return pl.Decimal(int(decimal[1]), int(decimal[2]))
    if kind == "timestamp_ntz":
        return _NAIVE
    if kind not in _BY_NAME:
        raise LakeError(f"column type {json.dumps(kind)} of a Delta table is not supported.")
    return _BY_NAME[kind]
