"""Values that JSON has no form for, made again from their text, where the type of the feature is known."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MADE: Final[dict[str, Callable[[Any], Any]]] = {
    "Timestamp": datetime.fromisoformat,
    "Date": date.fromisoformat,
    "Decimal": lambda text: Decimal(str(text)),
    "Binary": b64decode,
}


def typed(values: list[Any], type_name: str | None) -> list[Any]:
    """A column's values as the feature's type says.

    Parameters
    ----------
    values : list
        As they came.
    type_name : str, optional
        Such as ``Timestamp``, ``Decimal(10, 2)`` or ``List(Date)``; where it is not known, values stay as they came.

    Examples
    --------
    >>> typed(["1.10", None], "Decimal(10, 2)")
    [Decimal('1.10'), None]
    """
    outer, _, inner = (type_name or "").partition("(")
    if outer in ("List", "Vector"):
        item = inner.rpartition(",")[0] if outer == "Vector" else inner.removesuffix(")")
        return [None if each is None else typed(each, item) for each in values]
    make = _MADE.get(outer)
    return values if make is None else [None if value is None else make(value) for value in values]


def event_time(text: str | None) -> datetime | None:
    """When the newest row behind a value happened; the beginning of 1970 stands for never.

    Examples
    --------
    >>> event_time("1970-01-01T00:00:00Z") is None
    True
    """
    found = None if not text else instant(text)
    return None if found == _EPOCH else found


def instant(text: str) -> datetime:
    """A time with its zone; UTC where it has none."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
