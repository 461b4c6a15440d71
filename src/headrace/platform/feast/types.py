"""Feast's types, Parquet's and headrace's: which is which."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from headrace.platform.feast.recording import Recorded, kind_of
from headrace.types import DataType, Decimal, List

_PLAIN: Final = {
    "BYTES": "Binary", "STRING": "String", "BOOL": "Bool", "INT32": "Int32", "INT64": "Int64", "FLOAT": "Float32",
    "FLOAT32": "Float32", "DOUBLE": "Float64", "FLOAT64": "Float64", "UNIXTIMESTAMP": "Timestamp", "JSON": "String",
    "UUID": "String", "TIMEUUID": "String", "ZONEDTIMESTAMP": "Timestamp", "PDFBYTES": "Binary",
    "IMAGEBYTES": "Binary",
}  # fmt: skip
_TO_FEAST: Final = {
    "Bool": "Bool", "Int8": "Int32", "Int16": "Int32", "Int32": "Int32", "Int64": "Int64", "UInt8": "Int32",
    "UInt16": "Int32", "UInt32": "Int64", "Float32": "Float32", "Float64": "Float64", "String": "String",
    "Binary": "Bytes", "Date": "UnixTimestamp", "Timestamp": "UnixTimestamp", "Decimal": "Float64",
}  # fmt: skip
_POLARS: Final = (
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "Float32", "Float64", "String", "Binary", "Date",
)  # fmt: skip


def from_feast(dtype: Any) -> DataType | None:
    """A type of Feast's, or a value of its ``ValueType``; None where headrace has none."""
    if isinstance(dtype, Recorded) and dtype.kind in ("Array", "Set"):
        inner = from_feast(dtype.given.get("base_type"))
        return None if inner is None else List(inner)
    word = kind_of(dtype).upper()
    if word.endswith("_LIST"):
        inner = from_feast(word.removesuffix("_LIST"))
        return None if inner is None else List(inner)
    name = _PLAIN.get(word.replace("_", ""))
    return None if name is None else DataType(name)


def to_feast(dtype: DataType) -> str:
    """The name of Feast's type that holds its values."""
    if dtype.inner is not None:
        return f"Array({to_feast(dtype.inner)})"
    return _TO_FEAST[dtype.name]


def shown(dtype: Any) -> str:
    """A type of Feast's as people write it."""
    if isinstance(dtype, Recorded) and dtype.given:
        return f"{dtype.kind}({', '.join(shown(value) for value in dtype.given.values())})"
    if isinstance(dtype, dict):
        return "{" + ", ".join(f"{name}: {shown(value)}" for name, value in dtype.items()) + "}"
    return kind_of(dtype) if isinstance(dtype, Recorded | type) else repr(dtype)


def file_columns(path: Path) -> dict[str, DataType | None]:
    """The columns of a Parquet file, or of the first one in a folder; a type that headrace has not is None.

    Empty where there is no such file, or it can't be read.
    """
    import polars as pl

    files = sorted(path.glob("**/*.parquet")) if path.is_dir() else [path]
    try:
        found = pl.read_parquet_schema(files[0]) if files and files[0].is_file() else {}
    except (pl.exceptions.PolarsError, OSError):
        return {}
    return {name: _from_polars(dtype) for name, dtype in found.items()}


def _from_polars(dtype: Any) -> DataType | None:
    name = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if name in _POLARS:
        return DataType(name)
    if name in ("Boolean", "Datetime", "Categorical", "Enum"):
        return DataType({"Boolean": "Bool", "Datetime": "Timestamp"}.get(name, "String"))
    if name == "Decimal" and dtype.precision is not None and dtype.precision <= 18:
        return Decimal(dtype.precision, dtype.scale)
    if name in ("List", "Array"):
        inner = _from_polars(dtype.inner)
        return None if inner is None else List(inner)
    return None
