"""Rows made up from a schema, to try a function on before there are any real ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from headrace.definitions.checks import Check
from headrace.definitions.sources import Source, as_columns
from headrace.engines.polars_types import polars_schema
from headrace.types import DataType

_START = datetime(2026, 1, 5, tzinfo=UTC)
_WORDS = ("", "a", "b", "free", "busy", "Zürich", "x,y", "12.5", "2026-01-05")


def made_up_rows(source: Source, count: int, seed: int = 0) -> pl.DataFrame:
    """Rows that a source could have, the same for the same seed.

    Values repeat, and every row stands twice, so that a function which looks at other rows shows it.
    A tenth is null, where the source allows that. Bounds and choices of the contract are kept.

    Parameters
    ----------
    source : Source
        Whose schema and contract are followed.
    count : int
        How many different rows.
    seed : int
        For the random numbers.

    Returns
    -------
    polars.DataFrame
        ``2 * count`` rows with the columns of the schema.
    """
    rng = random.Random(seed)  # noqa: S311 - not for secrets
    needed = {source.event_time, source.available_time, *source.identity, *as_columns(source.required)}
    columns = {}
    for name, dtype in source.schema.items():
        make = _maker(dtype, [check for check in source.contract if check.column == name], rng)
        share = 0.0 if name in needed or _is_never_null(source, name) else 0.1
        columns[name] = [None if rng.random() < share else make() for _ in range(count)]
    frame = pl.DataFrame(columns, schema=polars_schema(source.schema), strict=False)
    return pl.concat([frame, frame])


def _is_never_null(source: Source, column: str) -> bool:
    return any(check.rule == "not_null" and check.column == column for check in source.contract)


def _maker(dtype: DataType, checks: list[Check], rng: random.Random) -> Callable[[], Any]:
    choices = next((list(check.values) for check in checks if check.rule == "is_in"), None)
    if choices:
        return lambda: rng.choice(choices)
    bounds = next(((check.low, check.high) for check in checks if check.rule == "between"), (None, None))
    if dtype.is_numeric and bounds != (None, None):
        return lambda: _between(dtype, bounds[0], bounds[1], rng)
    return lambda: _value(dtype, rng)


def _between(dtype: DataType, low: Any, high: Any, rng: random.Random) -> Any:
    least = float(low) if low is not None else float(high) - 10.0
    most = float(high) if high is not None else least + 10.0
    if dtype.is_integer:
        return rng.randint(int(least), int(most))
    value = rng.uniform(least, most)
    return Decimal(f"{value:.{dtype.scale}f}") if dtype.name == "Decimal" else value


def _value(dtype: DataType, rng: random.Random) -> Any:
    if dtype.inner is not None:
        inner = dtype.inner
        return [_value(inner, rng) for _ in range(dtype.size or rng.randint(0, 3))]
    if dtype.is_numeric:
        return _between(dtype, 0, 9 if dtype.name != "Decimal" else 0.9, rng)
    seconds = rng.randint(0, 7 * 86_400)
    plain: dict[str, Any] = {
        "Bool": rng.random() < 0.5,
        "String": rng.choice(_WORDS),
        "Binary": rng.choice(_WORDS).encode(),
        "Date": date(2026, 1, 5) + timedelta(days=rng.randint(0, 6)),
        "Timestamp": _START + timedelta(seconds=seconds, microseconds=rng.randint(0, 999_999)),
    }
    return plain[dtype.name]
