"""Conditions on rows, as SQL text that Polars, Spark and DuckDB all read.

``where=`` takes the text itself, or an expression built with `col`, which renders to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from headrace.errors import DefinitionError, TimeError

Scalar = str | int | float | bool | date | datetime | None
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_WORD: Final = re.compile(r'"([^"]+)"|\b([A-Za-z_]\w*)\b(?!\s*\()')
_KEYWORDS: Final = frozenset((
    "and", "or", "not", "in", "is", "null", "true", "false", "between", "like", "ilike", "case", "when", "then",
    "else", "end", "as", "date", "timestamp", "timestamptz", "interval", "cast", "bigint", "int", "integer",
    "double", "float", "varchar", "string", "boolean", "similar", "to", "escape", "distinct", "from",
))  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A piece of SQL, and the operators that make larger pieces.

    Examples
    --------
    >>> str((col("status") == "free") & (col("speed") > 3))
    "((status = 'free') AND (speed > 3))"
    """

    sql: str

    def __str__(self) -> str:
        """The SQL text."""
        return self.sql

    def __hash__(self) -> int:
        """Equal texts are equal expressions, though ``==`` builds a comparison."""
        return hash(self.sql)

    def _binary(self, operator: str, other: Operand) -> Expression:
        return Expression(f"({self.sql} {operator} {literal(other)})")

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        """Equal to; null gives null."""
        return self._binary("=", other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        """Not equal to; null gives null."""
        return self._binary("<>", other)  # type: ignore[arg-type]

    def __lt__(self, other: Operand) -> Expression:
        """Less than."""
        return self._binary("<", other)

    def __le__(self, other: Operand) -> Expression:
        """At most."""
        return self._binary("<=", other)

    def __gt__(self, other: Operand) -> Expression:
        """Greater than."""
        return self._binary(">", other)

    def __ge__(self, other: Operand) -> Expression:
        """At least."""
        return self._binary(">=", other)

    def __and__(self, other: Expression) -> Expression:
        """Both."""
        return self._binary("AND", other)

    def __or__(self, other: Expression) -> Expression:
        """Either."""
        return self._binary("OR", other)

    def __invert__(self) -> Expression:
        """Not."""
        return Expression(f"(NOT {self.sql})")

    def is_in(self, values: list[Scalar] | tuple[Scalar, ...]) -> Expression:
        """One of `values`, of which there is at least one."""
        if not values:
            raise DefinitionError(f"{self.sql}.is_in([]): no value is allowed; list at least one.")
        return Expression(f"({self.sql} IN ({', '.join(literal(value) for value in values)}))")

    def is_null(self) -> Expression:
        """Has no value."""
        return Expression(f"({self.sql} IS NULL)")

    def __bool__(self) -> bool:
        """Refused: ``and`` and ``or`` can't be overloaded."""
        raise DefinitionError(f"{self.sql} is a condition on rows: join conditions with & and |, not 'and' and 'or'.")


Operand = Expression | Scalar


def col(name: str) -> Expression:
    """A column of the view's rows, for ``where=``."""
    return Expression(name if re.fullmatch(r"[A-Za-z_]\w*", name) and name.lower() not in _KEYWORDS else f'"{name}"')


def literal(value: Operand) -> str:
    """A value as SQL text.

    Examples
    --------
    >>> literal("it's"), literal(None), literal(True)
    ("'it''s'", 'NULL', 'TRUE')
    """
    if isinstance(value, Expression):
        return value.sql
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{_utc(value)}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def _utc(value: datetime) -> str:
    if value.tzinfo is None:
        raise TimeError(f"{value.isoformat()} has no time zone: add one, e.g. tzinfo=datetime.UTC.")
    return value.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")


def predicate_text(condition: str | Expression | None) -> str | None:
    """Parse what a user gave as ``where=``."""
    if condition is None or isinstance(condition, str):
        return condition
    if isinstance(condition, Expression):
        return condition.sql
    raise DefinitionError(
        f"where={condition!r}: give SQL text such as \"status = 'free'\", or hr.col('status') == 'free'."
    )


def columns_of(text: str) -> frozenset[str]:
    """The column names that a condition mentions.

    Examples
    --------
    >>> sorted(columns_of("status = 'free' AND abs(speed) > 3"))
    ['speed', 'status']
    """
    words = _WORD.findall(_QUOTED.sub("''", text))
    return frozenset(quoted or bare for quoted, bare in words if quoted or bare.lower() not in _KEYWORDS)
