"""Checks: what must hold of rows, or of a view's values before anyone reads them.

The same words serve a source's contract (a row that fails is quarantined) and a view's
audit (a candidate that fails is not published).
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.definitions.predicates import Scalar
from headrace.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Check:
    """One rule about one column.

    Parameters
    ----------
    rule : str
        ``between``, ``not_null``, ``is_in`` or ``matches``.
    column : str
        The column, or the feature of the view.
    low, high : number or text, optional
        The bounds of ``between``, inclusive; None leaves a side open.
    values : tuple
        What ``is_in`` allows.
    pattern : str
        The regular expression that ``matches`` demands of the whole text.
    max_failing_share : float
        How many rows, of one, may fail in an audit.
    """

    rule: str
    column: str
    low: Scalar = None
    high: Scalar = None
    values: tuple[Scalar, ...] = ()
    pattern: str = ""
    max_failing_share: float = 0.0

    def __str__(self) -> str:
        """As a person would say it."""
        match self.rule:
            case "between":
                return f"{self.column} between {self.low} and {self.high}"
            case "is_in":
                return f"{self.column} in {list(self.values)}"
            case "matches":
                return f"{self.column} matches {self.pattern}"
        return f"{self.column} not null"


def between(column: str, low: Scalar = None, high: Scalar = None, *, max_failing_share: float = 0.0) -> Check:
    """Values are null or within ``[low, high]``; NaN is outside."""
    if low is None and high is None:
        raise DefinitionError(f"check between('{column}'): give low, high or both.")
    return Check("between", column, low=low, high=high, max_failing_share=_share(column, max_failing_share))


def not_null(column: str, *, max_failing_share: float = 0.0) -> Check:
    """Values are there."""
    return Check("not_null", column, max_failing_share=_share(column, max_failing_share))


def is_in(column: str, values: list[Scalar] | tuple[Scalar, ...], *, max_failing_share: float = 0.0) -> Check:
    """Values are null or one of `values`."""
    if not values:
        raise DefinitionError(f"check is_in('{column}'): no value is allowed; list at least one.")
    return Check("is_in", column, values=tuple(values), max_failing_share=_share(column, max_failing_share))


def matches(column: str, pattern: str, *, max_failing_share: float = 0.0) -> Check:
    """Texts are null or match the regular expression `pattern` from end to end."""
    return Check("matches", column, pattern=pattern, max_failing_share=_share(column, max_failing_share))


def _share(column: str, share: float) -> float:
    if not 0.0 <= share <= 1.0:
        raise DefinitionError(f"check on '{column}': max_failing_share={share} is no share between 0 and 1.")
    return share
