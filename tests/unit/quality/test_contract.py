"""Contracts: every reason of every failing row."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.quality.base import ARRIVED, FAILURES
from headrace.quality.contract import judge, passes, split
from headrace.quality.times import end_of_day, with_times
from headrace.types import DataType

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def source(**options: Any) -> hr.EventSource:
    schema = {"id": hr.String, "at": hr.Timestamp, "n": hr.Int64, "f": hr.Float64}
    return hr.EventSource("s", **({"schema": schema, "event_time": "at"} | options))


def rows(*values: dict[str, Any], schema: Any = None) -> pl.DataFrame:
    good = {"id": "a", "at": datetime(2026, 1, 5, 10, tzinfo=UTC), "n": 1, "f": 1.0}
    types = {"id": pl.String(), "at": pl.Datetime("us", "UTC"), "n": pl.Int64(), "f": pl.Float64()} | (schema or {})
    frame = pl.DataFrame([good | value for value in values], schema=types)
    return frame.with_columns(pl.lit(NOON).cast(pl.Datetime("us", "UTC")).alias(ARRIVED))


def reasons(made: hr.EventSource, frame: pl.DataFrame, **options: Any) -> list[tuple[int, str, str | None]]:
    failures = options.pop("failures", pl.DataFrame(schema=FAILURES))
    found = judge(made, with_times(frame, made, None), failures, **options)
    return found.select("index", "reason", "column").rows()


def test_all_reasons_of_a_row_are_found() -> None:
    made = source(required=["n"], contract=[hr.check.between("f", 0, 10), hr.check.is_in("id", ["a"])])
    frame = rows({}, {"n": None, "f": 11.0, "id": "z"}, {"f": float("nan")})
    assert sorted(reasons(made, frame)) == [
        (1, "f between 0 and 10", "f"), (1, "id in ['a']", "id"), (1, "null", "n"), (2, "f between 0 and 10", "f"),
    ]  # fmt: skip


def test_several_reasons_in_one_column_are_all_found() -> None:
    made = source(contract=[hr.check.between("n", 0, 10), hr.check.is_in("n", [1, 2])])
    assert len(reasons(made, rows({"n": 99}))) == 2


def test_time_and_identity_are_never_null() -> None:
    assert reasons(source(dedupe_on="id"), rows({"at": None}, {"id": None})) == [(0, "null", "at"), (1, "null", "id")]


def test_cells_that_failed_before_are_not_judged_again() -> None:
    before = pl.DataFrame(
        [(0, "wrong type", "n", "x"), (1, "unparsable line", None, "{")], schema=FAILURES, orient="row"
    )
    made = source(required=["n", "id"])
    frame = rows({"n": None, "id": None}, {"n": None, "at": None}, {})
    found = reasons(made, frame, failures=before)
    assert found == [(0, "wrong type", "n"), (0, "null", "id"), (1, "unparsable line", None)]


@pytest.mark.parametrize(("at", "fails"), [("12:01:00", False), ("12:01:01", True)])
def test_a_time_may_lie_a_little_after_arrival(at: str, fails: bool) -> None:
    moment = datetime.fromisoformat(f"2026-01-05T{at}+00:00")
    assert bool(reasons(source(), rows({"at": moment}))) is fails


def test_a_day_counts_from_its_beginning_against_arrival() -> None:
    made = hr.EventSource("s", schema={"at": hr.Date}, event_time="at")
    frame = rows({"at": date(2026, 1, 5)}, {"at": date(2026, 1, 6)}, schema={"at": pl.Date()})
    assert reasons(made, frame) == [(1, "later than its arrival", "at")]


@pytest.mark.parametrize(
    ("check", "dtype", "value", "held"),
    [
        (hr.check.between("c", 1, 2), hr.Int64, 2, True),
        (hr.check.between("c", low=1), hr.Int64, 0, False),
        (hr.check.between("c", high=1), hr.Float64, float("-inf"), True),
        (hr.check.between("c", low=1), hr.Float64, float("nan"), False),
        (hr.check.between("c", 1, 2), hr.Int64, None, True),
        (hr.check.between("c", "2026-01-05T00:00:00Z"), hr.Timestamp, NOON, True),
        (hr.check.between("c", high="2026-01-05"), hr.Timestamp, NOON, False),
        (hr.check.between("c", "2026-01-05"), hr.Date, date(2026, 1, 4), False),
        (hr.check.is_in("c", ["a"]), hr.String, "a", True),
        (hr.check.is_in("c", ["a"]), hr.String, "b", False),
        (hr.check.is_in("c", ["a"]), hr.String, None, True),
        (hr.check.matches("c", "a|b+"), hr.String, "bb", True),
        (hr.check.matches("c", "a|b+"), hr.String, "ab", False),
        (hr.check.not_null("c"), hr.String, None, False),
    ],
)
def test_rules(check: Any, dtype: DataType, value: Any, held: bool) -> None:
    types: dict[str, pl.DataType] = {
        "Int64": pl.Int64(), "Float64": pl.Float64(), "String": pl.String(), "Date": pl.Date(),
        "Timestamp": pl.Datetime("us", "UTC"),
    }  # fmt: skip
    frame = pl.DataFrame({"c": [value]}, schema={"c": types[dtype.name]})
    assert frame.select(passes(check, dtype)).item() is held


def test_split_keeps_order_and_lists_reasons() -> None:
    frame = pl.DataFrame({"v": [1, 2, 3]})
    failures = pl.DataFrame([(1, "a", "v", "2"), (1, "b", None, None)], schema=FAILURES, orient="row")
    accepted, rejected = split(frame, failures)
    assert accepted["v"].to_list() == [1, 3]
    assert rejected.to_dicts() == [{"v": 2, "reasons": ["a", "b"], "columns": ["v", None], "found": ["2", None]}]


def test_undeclared_columns_are_reasons_where_the_source_says_so() -> None:
    frame = rows({}, {}).with_columns(x=pl.Series([None, 5]))
    made = source(on_added_column="quarantine")
    assert reasons(made, frame, added=["x"]) == [(1, "column is not declared", "x")]
    assert reasons(source(), frame, added=["x"]) == []


def test_the_end_of_a_day_is_that_of_the_zone() -> None:
    assert end_of_day(date(2026, 1, 5), None) == datetime(2026, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC)
    assert end_of_day(date(2026, 1, 5), "Europe/Paris") == datetime(2026, 1, 5, 22, 59, 59, 999_999, tzinfo=UTC)
    # in Beirut midnight of 28 March 2021 was skipped
    assert end_of_day(date(2021, 3, 27), "Asia/Beirut") == datetime(2021, 3, 27, 21, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.slow
def test_a_million_clean_rows_are_quick() -> None:
    import time

    made = source(dedupe_on="id", contract=[hr.check.between("n", 0, 10), hr.check.between("f", 0, 10)])
    frame = with_times(pl.concat([rows({})] * 1_000_000, rechunk=True), made, None)
    none = pl.DataFrame(schema=FAILURES)
    judge(made, frame.head(1), none)
    started = time.perf_counter()
    assert judge(made, frame, none).is_empty()
    assert time.perf_counter() - started < 2.0
