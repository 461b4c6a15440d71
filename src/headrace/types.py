"""Column types, durations and instants: the small words that everything else uses.

Time is integer microseconds since 1970-01-01 UTC everywhere inside; text, ``datetime``
and ``timedelta`` are parsed once, here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NoReturn

from headrace.errors import DefinitionError, TimeError, UnknownNameError

MICROSECOND: Final = 1
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
FOREVER: Final = 2**62
"""An instant after every real one (the year 148,000): the end of what does not end."""
BEGINNING: Final = -(2**62)
"""An instant before every real one."""

_UNITS: Final = {
    "us": 1,
    "ms": 1_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3_600 * SECOND,
    "d": DAY,
    "w": 7 * DAY,
}
_PART: Final = re.compile(r"(\d+)\s*(us|ms|s|m|h|d|w)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

type_names = (
    "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "Float32", "Float64",
    "String", "Binary", "Date", "Timestamp", "Decimal", "Vector", "List",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataType:
    """The type of a column.

    Parameters
    ----------
    name : str
        One of ``type_names``.
    inner : DataType, optional
        The type of the items of a `Vector` or `List`.
    size : int, optional
        The length of a `Vector`, or the precision of a `Decimal`.
    scale : int, optional
        The digits of a `Decimal` behind the point.
    """

    name: str
    inner: DataType | None = None
    size: int | None = None
    scale: int | None = None

    def __str__(self) -> str:
        """The type as it is written in YAML, read back by `parse_type`."""
        if self.name == "Decimal":
            return f"Decimal({self.size}, {self.scale})"
        if self.name == "Vector":
            return f"Vector({self.inner}, {self.size})"
        return f"List({self.inner})" if self.name == "List" else self.name

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return self.name.startswith(("Int", "UInt"))

    @property
    def is_float(self) -> bool:
        """Whether values are binary floating-point numbers."""
        return self.name.startswith("Float")

    @property
    def is_numeric(self) -> bool:
        """Whether values can be added."""
        return self.is_integer or self.is_float or self.name == "Decimal"

    @property
    def is_temporal(self) -> bool:
        """Whether values are days or instants."""
        return self.name in ("Date", "Timestamp")

    @property
    def is_nested(self) -> bool:
        """Whether values are lists or vectors."""
        return self.name in ("Vector", "List")


Bool: Final = DataType("Bool")
Int8: Final = DataType("Int8")
Int16: Final = DataType("Int16")
Int32: Final = DataType("Int32")
Int64: Final = DataType("Int64")
UInt8: Final = DataType("UInt8")
UInt16: Final = DataType("UInt16")
UInt32: Final = DataType("UInt32")
Float32: Final = DataType("Float32")
Float64: Final = DataType("Float64")
String: Final = DataType("String")
Binary: Final = DataType("Binary")
Date: Final = DataType("Date")
Timestamp: Final = DataType("Timestamp")


def Decimal(precision: int, scale: int) -> DataType:  # noqa: N802 - a type's name
    """A decimal number of at most 18 digits, `scale` of them behind the point."""
    if not 1 <= precision <= 18 or not 0 <= scale <= precision:
        raise DefinitionError(f"Decimal({precision}, {scale}): precision is 1 to 18, and scale at most the precision.")
    return DataType("Decimal", size=precision, scale=scale)


def Vector(inner: DataType, size: int) -> DataType:  # noqa: N802 - a type's name
    """A list of exactly `size` numbers, stored and served as it is."""
    if not inner.is_numeric or size < 1:
        raise DefinitionError(f"Vector({inner}, {size}): the items are numbers, and at least one.")
    return DataType("Vector", inner=inner, size=size)


def List(inner: DataType) -> DataType:  # noqa: N802 - a type's name
    """A list of any length."""
    return DataType("List", inner=inner)


def parse_type(text: str | DataType) -> DataType:
    """Read a type from its text.

    Examples
    --------
    >>> parse_type("Decimal(10, 2)").scale
    2
    >>> str(parse_type("Vector(Float32, 8)"))
    'Vector(Float32, 8)'

    Raises
    ------
    UnknownNameError, DefinitionError
        If there is no such type, or its parameters are malformed.
    """
    if isinstance(text, DataType):
        return text
    head, _, rest = text.strip().partition("(")
    if head not in type_names:
        raise UnknownNameError.of("type", head, type_names, f"type '{text}'")
    if head not in ("Decimal", "Vector", "List"):
        return DataType(head) if text.strip() == head else _malformed(text)
    if not rest.endswith(")"):
        return _malformed(text)
    first, _, second = rest[:-1].rpartition(",")
    if head == "List":
        return List(parse_type(rest[:-1]))
    if not second.strip().isdecimal() or (head == "Decimal" and not first.strip().isdecimal()):
        return _malformed(text)
    return Decimal(int(first), int(second)) if head == "Decimal" else Vector(parse_type(first), int(second))


def _malformed(text: str) -> NoReturn:
    raise DefinitionError(f"type '{text}' is malformed: write Decimal(10, 2), Vector(Float32, 8) or List(Int64).")


def duration(value: str | int | timedelta) -> int:
    """A length of time in microseconds.

    Parameters
    ----------
    value : str, int or timedelta
        Text such as ``"5m"``, ``"1h30m"``, ``"250ms"`` (units us, ms, s, m, h, d, w: fixed
        lengths only, no months), a `timedelta`, or whole microseconds.

    Raises
    ------
    TimeError
        If the value is none of these, or negative.

    Examples
    --------
    >>> duration("1h30m") // 1_000_000
    5400
    """
    if isinstance(value, timedelta):
        value = value // timedelta(microseconds=1)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise TimeError(f"{value} µs is no duration: a length of time is never negative.")
        return value
    text = str(value).strip()
    if not text or _PART.sub("", text).strip():
        raise TimeError(f"'{value}' is no duration: write e.g. '30s', '5m', '1h30m', '7d' (us, ms, s, m, h, d, w).")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def duration_text(microseconds: int) -> str:
    """The shortest text that `duration` reads back.

    Examples
    --------
    >>> duration_text(5_400_000_000), duration_text(0)
    ('1h30m', '0s')
    """
    parts, rest = [], microseconds
    for unit, size in reversed(_UNITS.items()):
        if unit != "w" and rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return "".join(parts) or "0s"


def instant(value: str | int | datetime | date) -> int:
    """A point in time in microseconds since 1970 UTC.

    A `date`, or text without a time of day, is the beginning of that day in UTC. Naive times
    are refused, as there is no right zone to guess.

    Examples
    --------
    >>> instant("2026-01-05") == instant("2026-01-05T01:00:00+01:00")
    True
    """
    if isinstance(value, bool):
        raise TimeError(f"{value} is no time: write e.g. 2026-01-05 or 2026-01-05T08:30:00+00:00.")
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        value = _parse_text(value)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        raise TimeError(f"{value.isoformat()} has no time zone: add one, e.g. {value.isoformat()}+00:00.")
    return (value - _EPOCH) // timedelta(microseconds=1)


def _parse_text(text: str) -> datetime | date:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(f"'{text}' is no time: write e.g. 2026-01-05 or 2026-01-05T08:30:00+00:00.") from None


def instant_text(microseconds: int) -> str:
    """An instant as people read it.

    Examples
    --------
    >>> instant_text(1_767_600_000_000_000)
    '2026-01-05T08:00:00Z'
    """
    if microseconds >= FOREVER:
        return "never"
    if microseconds <= BEGINNING:
        return "beginning"
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
