"""JSON lines decoded one by one, exactly: for the few that are not plainly of their shape.

A text ``"7"`` is no whole number, nor is 1.5, nor true: each is a failure, not a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import polars as pl

from headrace.connectors.base import FAILURES, LONGEST_FOUND, UNPARSABLE
from headrace.connectors.columns import OUT_OF_RANGE, WRONG_TYPE
from headrace.connectors.json_shape import JOIN, Shape, paths_of, raw_type
from headrace.types import DataType

_INT64: Final = range(-(2**63), 2**63)


class Number(str):
    """The text of a JSON number that is written with a point or an exponent."""

    __slots__ = ()


DECODER: Final = msgspec.json.Decoder(float_hook=Number)


@dataclass(slots=True)
class Rows:
    """Raw values by column, and what failed.

    Attributes
    ----------
    values : dict of str to list
        By path, one value a line.
    failures : list of tuple
        As `FAILURES`, the index counted among these lines.
    seen, added : set and dict of str
        The declared paths that occurred, and the others in order.
    """

    values: dict[str, list[Any]]
    failures: list[tuple[int, str, str | None, str | None]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    added: dict[str, list[Any]] = field(default_factory=dict)


def decode_exactly(lines: list[str], shape: Shape) -> Rows:
    """Decode lines into raw values.

    Parameters
    ----------
    lines : list of str
        One JSON object each, or not.
    shape : Shape
        What they should hold.
    """
    columns = shape.columns()
    rows = Rows({path: [] for path in columns})
    for index, line in enumerate(lines):
        document = _document(line)
        if document is None:
            rows.failures.append((index, UNPARSABLE, None, line[:LONGEST_FOUND]))
            document = {}
        seen, added = paths_of(document, shape)
        rows.seen |= seen
        for path, dtype in columns.items():
            found, known = _lookup(document, path), rows.values[path]
            known.append(_raw(found, dtype, index, path, rows, lenient=shape.lenient))
        for path in added:
            values = rows.added.setdefault(path, [])
            values.extend([None] * (index - len(values)) + [_text(_lookup(document, path))])
    for values in rows.added.values():
        values.extend([None] * (len(lines) - len(values)))
    return rows


def as_frames(rows: Rows, shape: Shape) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows as a frame of raw columns, and their failures."""
    typed = {
        path: pl.Series(path, rows.values[path], dtype=raw_type(dtype, lenient=shape.lenient))
        for path, dtype in shape.columns().items()
    }
    added = {path: pl.Series(path, values, dtype=pl.String) for path, values in rows.added.items()}
    return pl.DataFrame(typed | added), pl.DataFrame(rows.failures, schema=FAILURES, orient="row")


def parse(line: str) -> dict[str, Any] | None:
    """A line's object; None if it is no JSON object."""
    return _document(line)


def _document(line: str) -> dict[str, Any] | None:
    try:
        found = DECODER.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _lookup(document: Mapping[str, Any], path: str) -> Any:
    found: Any = document
    for name in path.split(JOIN):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _raw(value: Any, dtype: DataType, index: int, path: str, rows: Rows, *, lenient: bool) -> Any:
    if value is None:
        return None
    if dtype.is_integer and type(value) is int and value not in _INT64:
        rows.failures.append((index, OUT_OF_RANGE, path, _text(value)))
        return None
    if not _fits(value, dtype, lenient=lenient):
        rows.failures.append((index, WRONG_TYPE, path, _shown(value)))
        return None
    if dtype.is_integer or dtype.name == "String" or (dtype.name == "Bool" and not lenient):
        return value
    return float(value) if dtype.is_float else _text(value)


def _fits(value: Any, dtype: DataType, *, lenient: bool) -> bool:
    kind = type(value)
    if dtype.is_integer:
        return kind is int
    if dtype.is_float:
        return kind in (int, Number)
    if dtype.name == "Bool":
        return kind is bool or (lenient and value in (0, 1))
    if dtype.name == "Decimal":
        return kind in (int, Number, str)
    if dtype.is_nested:
        return kind is list
    return kind is str or (lenient and dtype.is_temporal and kind is int)


def _text(value: Any) -> str | None:
    """A value as text: a string as it is, anything else as JSON writes it."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Number):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _shown(value: Any) -> str:
    """A value as JSON writes it, so that text "7" is told from 7."""
    text = str(value) if isinstance(value, Number) else msgspec.json.encode(_plain(value)).decode()
    return text[:LONGEST_FOUND]
