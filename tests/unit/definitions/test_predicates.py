"""Conditions built with `hr.col` mean in SQL what they say."""

from __future__ import annotations

import operator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.definitions.predicates import Expression, columns_of, literal
from headrace.errors import TimeError

START = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]] = {
    "whole": (pl.Int64(), st.integers(-3, 3)),
    "real": (pl.Float64(), st.floats(-2, 2, width=16) | st.sampled_from([1e-9, -1.5e10])),
    "text": (pl.String(), st.sampled_from(["", "a", "it's", '"', "x AND y", "é", "--", "100%"])),
    "flag": (pl.Boolean(), st.booleans()),
    "day": (pl.Date(), st.integers(0, 3).map(lambda n: date(2026, 1, 5) + timedelta(days=n))),
    "time": (pl.Datetime("us", "UTC"), st.integers(0, 3).map(lambda n: START + timedelta(microseconds=n))),
    "end": (pl.Int64(), st.integers(-1, 1)),  # a word of SQL
    "two words": (pl.Int64(), st.integers(-1, 1)),
}
COMPARE = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
Value = Any
Pair = tuple[Expression, pl.Expr]


def comparisons(name: str) -> st.SearchStrategy[Pair]:
    _, values = COLUMNS[name]
    compared = st.builds(
        lambda compare, value: (compare(hr.col(name), value), compare(pl.col(name), pl.lit(value))),
        st.sampled_from(COMPARE[:2] if name == "flag" else COMPARE),
        values,
    )
    chosen = st.lists(values, min_size=1, max_size=3).map(
        lambda some: (
            hr.col(name).is_in(some),
            pl.col(name).is_in(pl.lit(pl.Series(some, dtype=COLUMNS[name][0]).implode())),
        )
    )
    return compared | chosen | st.just((hr.col(name).is_null(), pl.col(name).is_null()))


def joined(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    both = st.tuples(st.sampled_from([operator.and_, operator.or_]), inner, inner)
    return both.map(lambda t: (t[0](t[1][0], t[2][0]), t[0](t[1][1], t[2][1]))) | inner.map(lambda t: (~t[0], ~t[1]))


CONDITIONS = st.recursive(st.one_of([comparisons(name) for name in COLUMNS]), joined, max_leaves=4)
ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()}), max_size=6)


@given(CONDITIONS, ROWS)
def test_a_condition_selects_what_it_says(condition: Pair, rows: list[dict[str, Value]]) -> None:
    frame = pl.DataFrame(rows, schema={name: dtype for name, (dtype, _) in COLUMNS.items()})
    built, meant = condition
    found = frame.select(found=pl.sql_expr(str(built)))["found"]
    assert found.to_list() == frame.select(found=meant)["found"].to_list()


@given(CONDITIONS)
def test_its_columns_are_found_in_its_text(condition: Pair) -> None:
    built, meant = condition
    assert columns_of(str(built)) == set(meant.meta.root_names())


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("speed > 3 AND status = 'not_a_column'", {"speed", "status"}),
        ("abs(speed) BETWEEN 1e5 AND 2E-3", {"speed"}),
        ('"two words" IS NOT NULL', {"two words"}),
        ("status IN ('it''s', 'b')", {"status"}),
        ("day = DATE '2026-01-05'", {"day"}),
        ("TRUE", set()),
    ],
)
def test_columns_of_a_text(text: str, columns: set[str]) -> None:
    assert columns_of(text) == columns


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(TimeError, match="has no time zone"):
        literal(datetime(2026, 1, 5))  # noqa: DTZ001


def test_times_of_another_zone_are_the_same_instant() -> None:
    elsewhere = START.astimezone(datetime.fromisoformat("2026-01-05T00:00:00+05:30").tzinfo)
    assert literal(elsewhere) == literal(START)
