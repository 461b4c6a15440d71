"""Values of a request that are of their column's Python type, and still no values of the column.

A number that is rounded, or becomes infinite, would be computed with as if the caller had sent it; and what libraries
below can't hold ends in them, far from the request that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.types import DataType

Fits = Callable[[Any], bool]
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_GREATEST_FLOAT32: Final = (2 - 2.0**-23) * 2.0**127
_SHORTEST_ROUNDED: Final = _GREATEST_FLOAT32 + 2.0**103
"""From here on a number is rounded to infinity."""
_MOST_FIGURES: Final = 36


def first_misfit(dtype: DataType, values: Iterable[Any]) -> int | None:
    """The place of the first value that its column can't hold as it is; None if there is none.

    Parameters
    ----------
    dtype : DataType
        The column's type.
    values : iterable
        Python values of it, as `headrace.platform.request_columns.python_type` says, or None.

    Examples
    --------
    >>> from headrace.types import Decimal as Exact, Float32, Int64
    >>> first_misfit(Exact(4, 2), [Decimal("12.34"), Decimal("1.234")])
    1
    >>> first_misfit(Float32, [0.1, None, 1e308]), first_misfit(Int64, [1, None])
    (2, None)
    """
    fits = _fitting(dtype)
    if fits is None:
        return None
    return next((place for place, value in enumerate(values) if value is not None and not fits(value)), None)


def _fitting(dtype: DataType) -> Fits | None:
    """Whether a value fits; None where all do."""
    if dtype.inner is not None:
        inner = _fitting(dtype.inner)
        return None if inner is None else lambda items: all(item is None or inner(item) for item in items)
    if dtype.name == "Decimal":
        digits, scale = dtype.size or 18, dtype.scale or 0
        return lambda value: not isinstance(value, Decimal) or _is_exact(value, digits, scale)
    return {"Timestamp": _is_in_calendar, "Float32": _is_finite}.get(dtype.name)


def _is_exact(value: Decimal, digits: int, scale: int) -> bool:
    """Whether a column of so many digits holds a number without rounding it.

    No arithmetic: an exponent may be as long as the request says.
    """
    _, figures, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(figures) > _MOST_FIGURES or exponent < -_MOST_FIGURES:
        return False  # infinite, not a number, or written with more noughts than Polars reads
    significant = "".join(map(str, figures)).lstrip("0")
    behind = len(significant) - len(significant.rstrip("0"))
    if not significant:
        return exponent <= digits
    return -(exponent + behind) <= scale and len(significant) + exponent <= digits - scale


def _is_in_calendar(value: Any) -> bool:
    """Whether a time has a day in UTC."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        return True
    # Times of different zones are compared as instants, those outside of the calendar too.
    return _FIRST <= value <= _LAST


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float | int) or abs(value) < _SHORTEST_ROUNDED or value in _INFINITE


_INFINITE: Final = (float("inf"), float("-inf"))
"""No request brings them as JSON; elsewhere they are what was sent."""
