"""How a value of each type is stored in a packed record, and read back.

A value has a slot of fixed width: the number itself; a day, an instant or a decimal as its whole number; a
vector's items one after the other, with a bitmap of those that are null. Text, bytes and lists are kept in a heap
behind all slots, and their slot is where: ``offset + length * 2**32``. Lists are msgpack.
"""

from __future__ import annotations

import decimal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from headrace.types import DataType

Convert = Callable[[Any], Any]
LENGTH_SHIFT: Final = 32
OFFSET_MASK: Final = 2**32 - 1
NUMPY_CODES: Final = {
    "?": "?", "b": "i1", "h": "<i2", "i": "<i4", "q": "<i8", "B": "u1", "H": "<u2", "I": "<u4", "Q": "<u8",
    "f": "<f4", "d": "<f8",
}  # fmt: skip
"""The format of a slot, as the `struct` module and as numpy write it."""

_CODES: Final = {
    "Bool": "?", "Int8": "b", "Int16": "h", "Int32": "i", "Int64": "q", "UInt8": "B", "UInt16": "H", "UInt32": "I",
    "Float32": "f", "Float64": "d", "Date": "i", "Timestamp": "q", "Decimal": "q",
}  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = _EPOCH.toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_EXACT: Final = decimal.Context(prec=38, traps=[decimal.InvalidOperation, decimal.Inexact])
"""Decimals are moved by powers of ten alone, whatever the caller's own context rounds to."""


class CorruptRecordError(ValueError):
    """Bytes that are no packed record, or not one of the layout at hand."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How the values of a type are stored.

    Parameters
    ----------
    code : str
        The slot's format, as of the `struct` module.
    in_heap : bool
        Whether the value's bytes are in the heap; `encode` gives and `decode` takes bytes then.
    encode, decode : callable, optional
        From a Python value to what the slot holds, and back; None where both are the same.
    """

    code: str
    in_heap: bool = False
    encode: Convert | None = None
    decode: Convert | None = None


@lru_cache
def stored(dtype: DataType) -> Stored:
    """How a type is stored.

    Examples
    --------
    >>> from headrace.types import Date, Vector, Float32
    >>> stored(Date).encode(date(1970, 1, 3)), stored(Vector(Float32, 10)).code
    (2, '42s')
    """
    if dtype.name == "String":
        return Stored("Q", True, str.encode, lambda raw: str(raw, "utf-8"))
    if dtype.name == "Binary":
        return Stored("Q", True, bytes, bytes)
    if dtype.name == "List":
        return _list(dtype)
    return _vector(dtype) if dtype.name == "Vector" else Stored(_CODES[dtype.name], False, *plain(dtype))


def plain(dtype: DataType) -> tuple[Convert | None, Convert | None]:
    """From a Python value to plain data for msgpack, and back; None where both are the same."""
    match dtype.name:
        case "Date":
            return (lambda day: day.toordinal() - _EPOCH_DAY), (lambda days: date.fromordinal(days + _EPOCH_DAY))
        case "Timestamp":
            return (lambda time: (time - _EPOCH) // _MICROSECOND), (lambda us: _EPOCH + timedelta(microseconds=us))
        case "Decimal":
            return _decimal(dtype.scale or 0)
        case "List" | "Vector":
            return tuple(map(_each, plain(dtype.inner or dtype)))  # type: ignore[return-value]
        case _:
            return None, None


def _decimal(scale: int) -> tuple[Convert, Convert]:
    def encode(value: decimal.Decimal | int) -> int:
        return int(_EXACT.to_integral_exact(_EXACT.scaleb(decimal.Decimal(value), scale)))

    def decode(whole: int) -> decimal.Decimal:
        return _EXACT.scaleb(decimal.Decimal(whole), -scale)

    return encode, decode


def _each(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda items: [None if item is None else convert(item) for item in items]


def _list(dtype: DataType) -> Stored:
    to_items, from_items = plain(dtype)

    def encode(items: Sequence[Any]) -> bytes:
        return msgspec.msgpack.encode(list(items) if to_items is None else to_items(items))

    decoder = msgspec.msgpack.Decoder(_plain_type(dtype))

    def decode(raw: bytes | memoryview) -> Any:
        items = decoder.decode(raw)
        return items if from_items is None else from_items(items)

    return Stored("Q", True, encode, decode)


def _plain_type(dtype: DataType) -> Any:
    """The type of plain data, so that bytes which hold another are noticed."""
    if dtype.inner is not None:
        return list[_plain_type(dtype.inner) | None]  # type: ignore[misc]
    if dtype.is_float:
        return float
    return {"String": str, "Binary": bytes, "Bool": bool}.get(dtype.name, int)


def _vector(dtype: DataType) -> Stored:
    inner, size = stored(dtype.inner or dtype), dtype.size or 0
    form = struct.Struct(f"<{size}{inner.code}{(size + 7) // 8}s")
    to_item, from_item = (convert or (lambda item: item) for convert in (inner.encode, inner.decode))

    def encode(items: Sequence[Any]) -> bytes:
        nulls = sum(1 << i for i, item in enumerate(items) if item is None)
        slots = [0 if item is None else to_item(item) for item in items]
        return form.pack(*slots, nulls.to_bytes((size + 7) // 8, "little"))

    def decode(raw: bytes) -> list[Any]:
        *items, nulls = form.unpack(raw)
        missing = int.from_bytes(nulls, "little")
        return [None if missing >> i & 1 else from_item(item) for i, item in enumerate(items)]

    return Stored(f"{form.size}s", False, encode, decode)
