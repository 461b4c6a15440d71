"""Columns as they are sent: what a caller has, a frame or plain Python, becomes JSON."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from headrace_client.errors import InvalidRequest

Columns: TypeAlias = dict[str, list[Any]]
Rows: TypeAlias = Any
"""A mapping of columns, a sequence of mappings, or a frame of pandas or Polars."""

_ABSENT: Final = ("NAType", "NaTType")
"""pandas' own kinds of nothing, told by name: it need not be installed."""


def columns_of(rows: Rows, place: str) -> Columns:
    """The columns of what a caller has, with values that `encoded` can send.

    Parameters
    ----------
    rows : mapping of str to sequence, sequence of mapping, or frame
        Columns, rows or both. NaN counts as None: in a frame it says that there is none.
    place : str
        What they are called in messages.

    Raises
    ------
    InvalidRequest
        If rows have different columns, columns different lengths, or it is none of these.
    """
    columns = {name: plain(values, f"{place}, column '{name}'") for name, values in _taken(rows, place).items()}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise InvalidRequest(f"{place}: the columns have different lengths: {listed}.")
    return columns


def _taken(rows: Rows, place: str) -> Mapping[str, Any]:
    if isinstance(rows, Mapping):
        return rows
    if hasattr(rows, "column_names"):
        return {name: rows[name] for name in rows.column_names}  # Arrow
    if hasattr(rows, "columns") and hasattr(rows, "__getitem__"):
        return {str(name): rows[name] for name in rows.columns}
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return _turned(rows, place)
    raise InvalidRequest(f"{place}: a {type(rows).__name__} is neither columns, rows nor a frame.")


def _turned(rows: Sequence[Any], place: str) -> Columns:
    names = list(rows[0]) if rows and isinstance(rows[0], Mapping) else []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidRequest(f"{place}, row {number}: a {type(row).__name__} is no mapping of names to values.")
        if row.keys() != set(names):
            unlike = ", ".join(sorted(map(repr, row.keys() ^ set(names))))
            raise InvalidRequest(
                f"{place}, row {number}: it has other columns than row 0: {unlike}. Use None for none."
            )
    return {name: [row[name] for row in rows] for name in names}


def plain(values: Any, place: str) -> list[Any]:
    """A column as a list of plain Python values.

    Whole numbers that a frame had to make floats of, because one is missing, become whole again.
    """
    if isinstance(values, str | bytes | Mapping):
        raise InvalidRequest(f"{place}: a {type(values).__name__} is no list of values. One value is a list of one.")
    if getattr(getattr(values, "dtype", None), "kind", "") in ("M", "m") and type(values).__module__ == "numpy":
        raise InvalidRequest(f"{place}: numpy's times have no zone. Give datetimes with one.")
    tolist = next(filter(None, (getattr(values, name, None) for name in ("to_pylist", "to_list", "tolist"))), None)
    try:
        taken = list(tolist() if tolist else values)
    except TypeError:
        raise InvalidRequest(f"{place}: a {type(values).__name__} is no list of values.") from None
    found = [_plain(value) for value in taken]
    had_nan = any(isinstance(value, float) and math.isnan(value) for value in taken)
    return [_whole(value) for value in found] if had_nan and _all_whole(found) else found


def _plain(value: Any) -> Any:
    if value is None or type(value) in (int, str, bool):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if type(value).__name__ in _ABSENT:
        return None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        return plain(value, "a list") if getattr(value, "ndim", 0) else _plain(value.item())
    return value


def _all_whole(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, float) and value.is_integer()) for value in values)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as JSON: times as ISO 8601 with their zone, a Decimal and a UUID as text, bytes as base64.

    Raises
    ------
    InvalidRequest
        If a value has no form in JSON: an infinite number, a time without a zone, or another kind of object.
    """
    try:
        return json.dumps(body, default=_told, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidRequest(f"the request can't be written as JSON: {error}.") from error


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    raise InvalidRequest(f"a {type(value).__name__} can't be sent: {value!r}.")


def time_text(at: datetime | str) -> str:
    """A time as it is sent.

    Raises
    ------
    InvalidRequest
        If it has no zone: it would mean another time on another machine.
    """
    if isinstance(at, str):
        return at
    if at.tzinfo is None:
        raise InvalidRequest(f"{at!r} has no zone. Give it one, such as tzinfo=timezone.utc.")
    return at.isoformat()
