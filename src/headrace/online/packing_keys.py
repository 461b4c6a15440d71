"""The keys of many entities' records at once: the same bytes as `record_keys.record_key` gives one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from headrace.errors import DefinitionError
from headrace.online.record_keys import BYTES, CLOSED, MIDDLE, MOST_BYTES, TEXT, record_prefix, shortened, tag_of
from headrace.timeline.arrays import Ints
from headrace.types import DataType

_NAMES: dict[type[pl.DataType], str] = {pl.Boolean: "Bool", pl.String: "String", pl.Binary: "Binary", pl.Date: "Date"}


def record_keys(fingerprint: str, keys: pl.DataFrame) -> list[bytes | None]:
    """The keys of the records of some entities, in their order; None for an entity with a null key.

    Parameters
    ----------
    fingerprint : str
        That of the view's definition.
    keys : frame
        A column a key of the entity, in order, one row an entity; of no columns, for one global record.

    Raises
    ------
    DefinitionError
        If a column is of a type that keys can't have.
    """
    prefix = record_prefix(fingerprint)
    if not keys.columns:
        return [prefix]
    nulls = keys.select(pl.any_horizontal(pl.all().is_null()).alias("null"))["null"]
    if nulls.any():
        found = iter(record_keys(fingerprint, keys.filter(~nulls)))
        return [None if null else next(found) for null in nulls.to_list()]
    columns = [_encoded(column) for column in keys.get_columns()]
    if len(columns) > 1:
        columns = [list(map(b"".join, zip(*columns, strict=True)))]
    return [prefix + (key if len(key) <= MOST_BYTES else shortened(key)) for key in columns[0]]


def _encoded(column: pl.Series) -> list[bytes]:
    tag = tag_of(_type_of(column))
    if tag == TEXT:
        escaped = column.str.replace_all("\x00", "\x00\x01", literal=True)
        return pl.select(pl.lit(tag.decode()) + escaped + CLOSED.decode()).to_series().cast(pl.Binary).to_list()
    if tag == BYTES:
        return [tag + raw.replace(b"\x00", b"\x00\x01") + CLOSED for raw in column.to_list()]
    whole = np.zeros(len(column), dtype=[("tag", "S1"), ("value", ">u8")])
    whole["tag"] = tag
    whole["value"] = column.to_physical().cast(pl.Int64).to_numpy().astype(np.uint64) + np.uint64(MIDDLE)
    return cut(whole.tobytes(), np.arange(len(column) + 1) * whole.itemsize)


def _type_of(column: pl.Series) -> DataType:
    if column.dtype.is_integer():
        return DataType(str(column.dtype))
    name = _NAMES.get(type(column.dtype))
    if name is None:
        raise DefinitionError(
            f"key column '{column.name}' is {column.dtype}: take a whole number, String, Binary, Bool or Date."
        )
    return DataType(name)


def cut(whole: bytes, bounds: Ints) -> list[bytes]:
    """The pieces of some bytes between neighbouring bounds."""
    return [whole[first:last] for first, last in pairwise(bounds.tolist())]
