"""Aggregations: how one feature is made from an entity's rows.

Each function builds an `Aggregation`; a view gives it its name. What an aggregation takes and
gives is in `RULES`; how it is computed is in ``headrace.timeline.aggregates``, one file a family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.definitions.predicates import Expression, Scalar, predicate_text
from headrace.definitions.windows import Lifetime, Window, lifetime
from headrace.errors import DefinitionError, UnknownNameError
from headrace.types import DataType, Float64, Int64, List


@dataclass(frozen=True, slots=True)
class Rule:
    """What an aggregate function accepts and returns.

    Parameters
    ----------
    takes : callable
        Whether a column's type can be aggregated.
    gives : callable
        The type of the result from the type of the column.
    wants : str
        The accepted types in words.
    ages : bool
        Whether ``ttl`` applies: the value is one row's, and gets old.
    on_changes : bool
        Whether it can be computed where rows are updated and deleted.
    """

    takes: Callable[[DataType], bool]
    gives: Callable[[DataType], DataType]
    wants: str
    ages: bool = False
    on_changes: bool = True


def _sum_type(dtype: DataType) -> DataType:
    return DataType("Decimal", size=18, scale=dtype.scale) if dtype.name == "Decimal" else (
        Float64 if dtype.is_float else Int64
    )  # fmt: skip


def _any(_: DataType) -> bool:
    return True


def _flat(dtype: DataType) -> bool:
    return not dtype.is_nested


RULES: dict[str, Rule] = {
    "last": Rule(_any, lambda t: t, "any type", ages=True),
    "first": Rule(_any, lambda t: t, "any type"),
    "last_n": Rule(_flat, List, "any flat type", ages=True),
    "count": Rule(_any, lambda _: Int64, "any type"),
    "sum": Rule(lambda t: t.is_numeric, _sum_type, "a number"),
    "mean": Rule(lambda t: t.is_numeric or t.name == "Bool", lambda _: Float64, "a number or Bool"),
    "variance": Rule(lambda t: t.is_numeric, lambda _: Float64, "a number"),
    "stddev": Rule(lambda t: t.is_numeric, lambda _: Float64, "a number"),
    "min": Rule(lambda t: t.is_numeric or t.is_temporal, lambda t: t, "a number, Date or Timestamp"),
    "max": Rule(lambda t: t.is_numeric or t.is_temporal, lambda t: t, "a number, Date or Timestamp"),
    "count_distinct": Rule(_flat, lambda _: Int64, "any flat type"),
    "approx_count_distinct": Rule(_flat, lambda _: Int64, "any flat type", on_changes=False),
    "quantile": Rule(lambda t: t.is_numeric, lambda _: Float64, "a number", on_changes=False),
}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One feature's recipe.

    Parameters
    ----------
    function : str
        A key of `RULES`.
    column : str, optional
        The column aggregated; None for ``count()``.
    window : Window
        Which rows are looked at.
    where : str, optional
        A condition in SQL that rows must meet.
    skip_nulls : bool
        For ``last``, ``first`` and ``last_n``: pass over rows whose value is null.
    n : int, optional
        How many rows ``last_n`` keeps.
    q : float, optional
        Which quantile.
    error : float, optional
        The relative error of an approximate aggregate.
    ddof : int
        The divisor of a variance is n - ddof.
    default : scalar, optional
        Served instead of null where the entity is known but the window is empty.
    description : str
        For people.
    """

    function: str
    column: str | None
    window: Window
    where: str | None = None
    skip_nulls: bool = False
    n: int | None = None
    q: float | None = None
    error: float | None = None
    ddof: int = 1
    default: Scalar = None
    description: str = ""

    @property
    def rule(self) -> Rule:
        """What the function accepts and returns."""
        return RULES[self.function]

    @property
    def ages(self) -> bool:
        """Whether ``ttl`` makes the value null: a row's value, not a window's or a lifetime's sum."""
        return self.rule.ages and isinstance(self.window, Lifetime)

    def result_type(self, schema: dict[str, DataType] | None, where: str) -> DataType:
        """The type of the feature, checked against the columns at hand.

        Raises
        ------
        UnknownNameError
            If the column is not in `schema`.
        DefinitionError
            If the function can't take the column's type.
        """
        if self.column is None:
            return self.rule.gives(Int64)
        if schema is None or self.column not in schema:
            raise UnknownNameError.of("column", self.column, schema or (), where)
        dtype = schema[self.column]
        if not self.rule.takes(dtype):
            raise DefinitionError(
                f"{where}: {self.function}('{self.column}') takes {self.rule.wants}, but the column is {dtype}."
            )
        return self.rule.gives(dtype)


def _build(function: str, column: str | None, window: Window | None, where: object, **options: object) -> Aggregation:
    chosen = window if window is not None else lifetime()
    if not isinstance(chosen, Window):
        raise DefinitionError(f"{function}('{column}'): window={window!r} is no window such as hr.tumbling('5m').")
    if column is not None and not isinstance(column, str):
        raise DefinitionError(f"{function}({column!r}): give the column's name as text.")
    return Aggregation(function, column, chosen, predicate_text(where), **options)  # type: ignore[arg-type]


Where = str | Expression | None


def last(
    column: str, window: Window | None = None, *, where: Where = None, skip_nulls: bool = False,
    default: Scalar = None, description: str = "",
) -> Aggregation:  # fmt: skip
    """The value of the newest row known, null or not."""
    return _build("last", column, window, where, skip_nulls=skip_nulls, default=default, description=description)


def first(
    column: str, window: Window | None = None, *, where: Where = None, skip_nulls: bool = False,
    default: Scalar = None, description: str = "",
) -> Aggregation:  # fmt: skip
    """The value of the oldest row known, null or not."""
    return _build("first", column, window, where, skip_nulls=skip_nulls, default=default, description=description)


def last_n(
    column: str, n: int, window: Window | None = None, *, where: Where = None, skip_nulls: bool = False,
    description: str = "",
) -> Aggregation:  # fmt: skip
    """The values of the newest `n` rows known, newest first."""
    if n < 1:
        raise DefinitionError(f"last_n('{column}', {n}): n is at least 1.")
    return _build("last_n", column, window, where, n=n, skip_nulls=skip_nulls, description=description)


def count(
    column: str | None = None, window: Window | None = None, *, where: Where = None, description: str = ""
) -> Aggregation:
    """How many rows, or with a column how many rows with a value; 0 in an empty window."""
    return _build("count", column, window, where, description=description)


def sum(  # noqa: A001 - the field's word
    column: str, window: Window | None = None, *, where: Where = None, default: Scalar = None, description: str = ""
) -> Aggregation:
    """The sum; exact for whole numbers and decimals, within 1e-9 of the sum of magnitudes for floats."""
    return _build("sum", column, window, where, default=default, description=description)


def mean(
    column: str, window: Window | None = None, *, where: Where = None, default: Scalar = None, description: str = ""
) -> Aggregation:
    """The arithmetic mean."""
    return _build("mean", column, window, where, default=default, description=description)


def variance(
    column: str, window: Window | None = None, *, where: Where = None, ddof: int = 1, default: Scalar = None,
    description: str = "",
) -> Aggregation:  # fmt: skip
    """The variance with divisor n - ddof (null unless n > ddof), never negative."""
    return _build("variance", column, window, where, ddof=ddof, default=default, description=description)


def stddev(
    column: str, window: Window | None = None, *, where: Where = None, ddof: int = 1, default: Scalar = None,
    description: str = "",
) -> Aggregation:  # fmt: skip
    """The square root of `variance`."""
    return _build("stddev", column, window, where, ddof=ddof, default=default, description=description)


def min(  # noqa: A001 - the field's word
    column: str, window: Window | None = None, *, where: Where = None, default: Scalar = None, description: str = ""
) -> Aggregation:
    """The least value."""
    return _build("min", column, window, where, default=default, description=description)


def max(  # noqa: A001 - the field's word
    column: str, window: Window | None = None, *, where: Where = None, default: Scalar = None, description: str = ""
) -> Aggregation:
    """The greatest value."""
    return _build("max", column, window, where, default=default, description=description)


def count_distinct(
    column: str, window: Window | None = None, *, where: Where = None, approximate: bool = False, description: str = ""
) -> Aggregation:
    """How many different values.

    With ``approximate=True`` from a HyperLogLog sketch of 4,096 registers (standard error 1.6 %),
    whose memory does not grow with the number of values; refused on change sources.
    """
    function = "approx_count_distinct" if approximate else "count_distinct"
    return _build(function, column, window, where, error=0.016 if approximate else None, description=description)


def quantile(
    column: str, q: float, window: Window | None = None, *, where: Where = None, error: float = 0.01,
    default: Scalar = None, description: str = "",
) -> Aggregation:  # fmt: skip
    """The q-quantile from a DDSketch: within `error` of the true value, relatively.

    The value answered is the midpoint of the sketch's bucket that holds the row of rank
    ``floor(q * (n - 1))``. Refused on change sources.
    """
    if not 0.0 <= q <= 1.0:
        raise DefinitionError(f"quantile('{column}', {q}): q is between 0 and 1.")
    if not 0.001 <= error <= 0.1:
        raise DefinitionError(f"quantile('{column}', error={error}): the relative error is between 0.001 and 0.1.")
    return _build("quantile", column, window, where, q=q, error=error, default=default, description=description)
