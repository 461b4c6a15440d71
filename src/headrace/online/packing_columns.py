"""Columns of frames as the slots and heaps of packed records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.errors import DefinitionError
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.packed import Field, Layout
from headrace.timeline.packed_steps import NO_TIME, StepsCodec
from headrace.timeline.packed_types import LENGTH_SHIFT, NUMPY_CODES, stored
from headrace.types import DataType

_INSTANT = pl.Datetime("us", "UTC")
_TYPES: dict[str, pl.DataType] = {
    "Bool": pl.Boolean(), "Int8": pl.Int8(), "Int16": pl.Int16(), "Int32": pl.Int32(), "Int64": pl.Int64(),
    "UInt8": pl.UInt8(), "UInt16": pl.UInt16(), "UInt32": pl.UInt32(),
    "Float32": pl.Float32(), "Float64": pl.Float64(), "String": pl.String(), "Binary": pl.Binary(),
    "Date": pl.Date(), "Timestamp": _INSTANT,
}  # fmt: skip


def check_columns(layout: Layout, keys: Sequence[str], steps: pl.DataFrame) -> None:
    """Check that a frame of steps has the columns of a layout.

    Raises
    ------
    DefinitionError
        With the first column that is missing, or not of the layout's type.
    """
    for name in (*keys, "valid_from", "event_time", *(field.name for field in layout.fields)):
        if name not in steps.columns:
            raise DefinitionError(f"the steps have no column '{name}'; they have: {', '.join(steps.columns)}.")
    for name in ("valid_from", "event_time"):
        if steps.schema[name] != _INSTANT:
            raise DefinitionError(f"the steps' column '{name}' is {steps.schema[name]}, not {_INSTANT}.")
    for field in layout.fields:
        if not _fits(steps.schema[field.name], field.dtype):
            raise DefinitionError(
                f"the steps' column '{field.name}' is {steps.schema[field.name]}, the layout of the online records "
                f"says {field.dtype}. Backfill the view as it is defined now, or cast the column."
            )


def _fits(found: pl.DataType, wanted: DataType) -> bool:
    if wanted.name == "Decimal":
        return isinstance(found, pl.Decimal) and found.scale == wanted.scale
    if wanted.inner is None:
        return found == _TYPES[wanted.name]
    if wanted.name == "Vector":
        return isinstance(found, pl.Array) and found.shape == (wanted.size,) and _fits(_inner(found), wanted.inner)
    return isinstance(found, pl.List) and _fits(_inner(found), wanted.inner)


def _inner(dtype: pl.Array | pl.List) -> pl.DataType:
    return pl.Series([], dtype=dtype.inner).dtype


@dataclass(frozen=True, slots=True)
class Heap:
    """The bytes of a column of text, bytes or lists.

    Parameters
    ----------
    length : int64 array, shape (n_rows,)
        Of each row's bytes; 0 for null.
    data : bytes
        All of them.
    """

    length: Ints
    data: bytes


def packed_rows(codec: StepsCodec, fields: Sequence[Field], steps: pl.DataFrame) -> tuple[NDArray[Any], list[Heap]]:
    """Rows of steps without their heaps' offsets, and these heaps; see `StepsCodec.row_dtype`."""
    rows = np.zeros(len(steps), dtype=codec.row_dtype())
    rows["valid_from"] = steps["valid_from"].to_physical().to_numpy()
    rows["event_time"] = steps["event_time"].to_physical().fill_null(NO_TIME).to_numpy()
    heaps = []
    for i, field in enumerate(fields):
        column = steps[field.name]
        if column.null_count():
            rows["nulls"][:, i >> 3] |= column.is_null().to_numpy().astype(np.uint8) << np.uint8(i & 7)
        if codec.stored[i].in_heap:
            heaps.append(_heap(column, field.dtype))
        elif field.dtype.name == "Vector":
            _put_vectors(rows[f"f{i}"], column, field.dtype)
        else:
            rows[f"f{i}"] = _numbers(column)
    return rows, heaps


def put_offsets(rows: NDArray[Any], places: Sequence[int], heaps: Sequence[Heap], first: Ints) -> list[Ints]:
    """Write where each value's bytes will be in its record's heap; each heap there follows the one before it.

    Parameters
    ----------
    rows : structured array
        The rows, changed in place.
    places : sequence of int
        Which features the heaps are of.
    first : int64 array, shape (n_records + 1,)
        The first row of each record, and how many rows there are.

    Returns
    -------
    list of int64 array, shape (n_records + 1,)
        For each heap, where the bytes of each record begin.
    """
    base = np.zeros(len(first) - 1, dtype=np.int64)
    record = np.repeat(np.arange(len(first) - 1), np.diff(first))
    bounds = []
    for place, heap in zip(places, heaps, strict=True):
        total = np.concatenate([[0], np.cumsum(heap.length)])
        begin = total[first]
        rows[f"f{place}"] = (total[:-1] - begin[record] + base[record]) | heap.length << LENGTH_SHIFT
        base = base + np.diff(begin)
        bounds.append(begin)
        nulls = rows["nulls"][:, place >> 3] >> np.uint8(place & 7) & 1
        rows[f"f{place}"][nulls.astype(bool)] = 0
    return bounds


def lengths(column: pl.Series) -> Ints:
    """How many bytes each text or binary value has; 0 for null, and for lists, which are not known before packing."""
    if column.dtype == pl.String:
        return column.str.len_bytes().fill_null(0).cast(pl.Int64).to_numpy()
    if column.dtype == pl.Binary:
        return column.bin.size().fill_null(0).cast(pl.Int64).to_numpy()
    return np.zeros(len(column), dtype=np.int64)


def _heap(column: pl.Series, dtype: DataType) -> Heap:
    if dtype.name == "String":
        return Heap(lengths(column), (column.str.join("").item() or "").encode())
    if dtype.name == "Binary":
        return Heap(lengths(column), b"".join(column.drop_nulls().to_list()))
    encode = stored(dtype).encode
    packed = [b"" if item is None or encode is None else encode(item) for item in column.to_list()]
    return Heap(np.fromiter(map(len, packed), dtype=np.int64, count=len(packed)), b"".join(packed))


def _numbers(column: pl.Series) -> NDArray[Any]:
    physical = column.to_physical()
    if isinstance(column.dtype, pl.Decimal):
        try:
            physical = physical.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise DefinitionError(f"the steps' column '{column.name}' has a value of more than 18 digits.") from None
    return (physical.fill_null(value=False) if physical.dtype == pl.Boolean else physical.fill_null(0)).to_numpy()


def _put_vectors(slots: NDArray[Any], column: pl.Series, dtype: DataType) -> None:
    """Write items and the bitmap of those that are null, where the vector itself is not."""
    size, inner = dtype.size or 0, stored(dtype.inner or dtype)
    there: Bools = column.is_not_null().to_numpy()
    items = column.drop_nulls().explode()
    numbers = _numbers(items).astype(NUMPY_CODES[inner.code]).reshape(-1, size)
    nulls = np.packbits(items.is_null().to_numpy().reshape(-1, size), axis=1, bitorder="little")
    slots[there] = np.concatenate([np.ascontiguousarray(numbers).view(np.uint8), nulls], axis=1)
