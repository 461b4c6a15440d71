"""The contract of a source: what must hold of each row, else it is quarantined with every reason.

The rules are a Pandera schema over a Polars frame: a million clean rows take some hundredths of a
second. (It must be an eager frame: of a lazy one Pandera checks the types only, and says nothing.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.definitions.checks import Check
from headrace.definitions.sources import ChangeSource, SnapshotSource, Source, as_columns
from headrace.quality.base import ARRIVED, AVAILABLE, FAILURES, OP, UTC
from headrace.quality.times import start_of_day
from headrace.types import DataType, instant

if TYPE_CHECKING:
    import pandera.polars as pa

NULL: Final = "null"
FUTURE: Final = "later than its arrival"
ADDED: Final = "column is not declared"
REDACTED: Final = "(personal)"
_CHECKED_TIME: Final = "_hr_checked_time"


def judge(source: Source, frame: pl.DataFrame, failures: pl.DataFrame, added: Iterable[str] = ()) -> pl.DataFrame:
    """All reasons for which rows fail.

    Parameters
    ----------
    source : Source
        The contract. A row's time may not lie later than its arrival + ``max_future``, arrival being
        when it was measured to be known, else when it came into bronze; never the clock of the run.
    frame : polars.DataFrame
        The rows: the declared columns in their types, `ARRIVED`, `AVAILABLE`, and `OP` for changes.
    failures : polars.DataFrame
        What failed before, as `FAILURES`; its rows and cells are not judged again.
    added : iterable of str
        Columns of the frame that are not declared.

    Returns
    -------
    polars.DataFrame
        As `FAILURES`, ordered by row. What was found in a personal column is not told.
    """
    rows = frame.with_row_index("_hr_index").with_columns(_checked_time(source))
    hopeless = failures.filter(pl.col("column").is_null())
    if hopeless.height:
        rows = rows.join(hopeless, left_on="_hr_index", right_on="index", how="anti", maintain_order="left")
    found = [pl.DataFrame(schema=FAILURES)]
    for part, required, checks in _parts(source, rows):
        found.append(_failures(source, part, required, checks))
    if source.on_added_column == "quarantine":
        found += [_undeclared(rows, column) for column in added]
    cells = failures.select("index", "column")
    new = pl.concat(found).join(cells, on=["index", "column"], how="anti", maintain_order="left")
    return _redacted(source, pl.concat([failures, new]).sort("index", maintain_order=True))


def split(frame: pl.DataFrame, failures: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without a failure, and those with: the latter with lists of their reasons, columns and finds."""
    if not failures.height:
        return frame, frame.clear().with_columns(
            pl.lit(None, dtype=pl.List(pl.String)).alias(name) for name in ("reasons", "columns", "found")
        )
    numbered = frame.with_row_index("index")
    by_row = failures.group_by("index", maintain_order=True).agg(
        pl.col("reason").alias("reasons"), pl.col("column").alias("columns"), pl.col("found")
    )
    rejected = numbered.join(by_row, on="index", how="inner", maintain_order="left").drop("index")
    accepted = numbered.join(by_row, on="index", how="anti", maintain_order="left").drop("index")
    return accepted, rejected


def never_null(source: Source) -> list[str]:
    """The columns that every row must have: time, identity, primary key and what is required."""
    named = [*as_columns(source.required), *source.identity, *primary_key(source)]
    return list(dict.fromkeys([*([source.event_time] if source.event_time else []), *named]))


def primary_key(source: Source) -> tuple[str, ...]:
    """The columns that identify a row of a table; none for events."""
    return as_columns(source.primary_key) if isinstance(source, ChangeSource | SnapshotSource) else ()


def _parts(source: Source, rows: pl.DataFrame) -> list[tuple[pl.DataFrame, list[str], tuple[Check, ...]]]:
    """Which rows must meet what: a deletion has a key only, a truncate nothing."""
    checks = tuple(source.contract)
    if not isinstance(source, ChangeSource):
        return [(rows, never_null(source), checks)]
    gone = pl.col(OP).is_in(["d", "t"]).fill_null(value=False)
    deletions = rows.filter(pl.col(OP) == "d")
    return [(rows.filter(~gone), never_null(source), checks), (deletions, list(primary_key(source)), ())]


def _failures(source: Source, rows: pl.DataFrame, required: list[str], checks: tuple[Check, ...]) -> pl.DataFrame:
    from pandera.errors import SchemaErrors

    if not rows.height:
        return pl.DataFrame(schema=FAILURES)
    try:
        pandera_schema(source, required, checks).validate(rows, lazy=True)
    except SchemaErrors as errors:
        return _as_failures(source, rows, errors.failure_cases)
    return pl.DataFrame(schema=FAILURES)


def _as_failures(source: Source, rows: pl.DataFrame, cases: pl.DataFrame) -> pl.DataFrame:
    at = pl.col("index").cast(pl.UInt32)
    named = pl.col("column").replace(_CHECKED_TIME, source.event_time or _CHECKED_TIME)
    reason = pl.col("check").replace("not_nullable", NULL)
    picked = cases.select(at, reason.alias("reason"), named.alias("column"), pl.col("failure_case").alias("found"))
    return picked.with_columns(rows["_hr_index"].gather(picked["index"]).alias("index")).cast(FAILURES)


def pandera_schema(source: Source, required: Iterable[str], checks: Iterable[Check]) -> pa.DataFrameSchema:
    """The contract as a Pandera schema for Polars.

    Parameters
    ----------
    source : Source
        Its schema gives the types.
    required : iterable of str
        Columns that are never null.
    checks : iterable of Check
        The rules.
    """
    import pandera.polars as pa

    wanted, by_column = set(required), _by_column(checks)
    columns = {}
    for name, dtype in source.schema.items():
        rules = [_pandera_check(check, dtype) for check in by_column.get(name, []) if check.rule != "not_null"]
        nullable = name not in wanted and all(check.rule != "not_null" for check in by_column.get(name, []))
        columns[name] = pa.Column(None, checks=rules, nullable=nullable)
    columns[_CHECKED_TIME] = pa.Column(UTC, checks=[_not_after_arrival(source)], nullable=True)
    return pa.DataFrameSchema(columns)


def _by_column(checks: Iterable[Check]) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check.column, []).append(check)
    return found


def _pandera_check(check: Check, dtype: DataType) -> pa.Check:
    import pandera.polars as pa

    return pa.Check(_selecting(passes(check, dtype)), name=check.rule, error=str(check))


def _selecting(expression: pl.Expr) -> Callable[[Any], pl.LazyFrame]:
    return lambda data: data.lazyframe.select(expression)


def passes(check: Check, dtype: DataType) -> pl.Expr:
    """Whether a value meets a rule; null does, unless the rule says otherwise. NaN is in no range."""
    column = pl.col(check.column)
    if check.rule == "not_null":
        return column.is_not_null()
    if check.rule == "is_in":
        held = column.is_in(list(check.values))
    elif check.rule == "matches":
        held = column.str.contains(f"^(?:{check.pattern})$")
    else:
        held = pl.lit(value=True) if check.low is None else column >= _bound(check.low, dtype)
        held &= pl.lit(value=True) if check.high is None else column <= _bound(check.high, dtype)
        held &= ~column.is_nan() if dtype.is_float else pl.lit(value=True)
    return held.fill_null(value=True)


def _bound(value: Any, dtype: DataType) -> pl.Expr:
    if dtype.name == "Timestamp" and isinstance(value, str | date | datetime):
        return pl.lit(instant(value)).cast(UTC)
    return pl.lit(date.fromisoformat(value) if dtype.name == "Date" and isinstance(value, str) else value)


def _checked_time(source: Source) -> pl.Expr:
    if source.event_time is None:
        return pl.lit(None, dtype=UTC).alias(_CHECKED_TIME)
    values = pl.col(source.event_time)
    is_day = source.schema[source.event_time].name == "Date"
    return (start_of_day(values, source.timezone) if is_day else values).alias(_CHECKED_TIME)


def _not_after_arrival(source: Source) -> pa.Check:
    import pandera.polars as pa

    latest = pl.coalesce(AVAILABLE, ARRIVED) + pl.duration(microseconds=source.max_future_us)
    return pa.Check(_selecting((pl.col(_CHECKED_TIME) <= latest).fill_null(value=True)), name="arrival", error=FUTURE)


def _undeclared(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.filter(pl.col(column).is_not_null()).select(
        pl.col("_hr_index").alias("index"),
        pl.lit(ADDED).alias("reason"),
        pl.lit(column).alias("column"),
        pl.col(column).cast(pl.String, strict=False).str.head(80).alias("found"),
    ).cast(FAILURES)  # fmt: skip


def _redacted(source: Source, failures: pl.DataFrame) -> pl.DataFrame:
    if not source.personal:
        return failures
    secret = pl.col("column").is_in(list(source.personal)) | pl.col("column").is_null()
    hidden = pl.when(secret & pl.col("found").is_not_null()).then(pl.lit(REDACTED)).otherwise("found")
    return failures.with_columns(hidden.alias("found"))
