"""What is sent: rows and columns of any kind as JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa
import pytest

from headrace_client import InvalidRequest
from headrace_client.columns import columns_of, encoded

NAN = float("nan")
COLUMNS: dict[str, list[Any]] = {"driver_id": [1, 2], "zone": ["x", None]}


@pytest.mark.parametrize(
    "rows",
    [
        COLUMNS,
        {"driver_id": (1, 2), "zone": iter(["x", None])},
        [{"driver_id": 1, "zone": "x"}, {"zone": None, "driver_id": 2}],
        {"driver_id": np.array([1, 2]), "zone": np.array(["x", None], dtype=object)},
        {"driver_id": [np.int64(1), np.uint8(2)], "zone": ["x", pd.NA]},
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).convert_dtypes(),
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
    ],
    ids=["columns", "iterables", "rows", "numpy", "scalars", "pandas", "pandas' own types", "polars", "arrow"],
)
def test_rows_of_any_kind_are_the_same_columns(rows: Any) -> None:
    assert columns_of(rows, "entities") == COLUMNS


def test_nan_is_none_and_whole_numbers_beside_it_are_whole_again() -> None:
    assert columns_of(pd.DataFrame({"a": [1, None, 2**40]}), "entities") == {"a": [1, None, 2**40]}
    found = columns_of({"a": [1.5, NAN], "b": [1.0, 2.0], "c": [NAN, NAN]}, "entities")
    assert repr(found) == "{'a': [1.5, None], 'b': [1.0, 2.0], 'c': [None, None]}", "floats stay floats without a gap"


def test_lists_in_columns() -> None:
    found = columns_of({"a": [[1.0, NAN], np.array([1, 2]), (3,), None]}, "entities")
    assert found == {"a": [[1.0, None], [1, 2], [3], None]}


def test_no_rows() -> None:
    assert columns_of([], "rows") == columns_of({}, "rows") == {}


def test_values_have_one_form_each() -> None:
    body = {
        "a": [datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=1))), pd.Timestamp("2026-01-05", tz="UTC"),
              date(2026, 1, 5), Decimal("1.10"), b"ab", bytearray(b"ab"), UUID(int=1), 2**63, "é", True],
    }  # fmt: skip
    assert json.loads(encoded(body))["a"] == [
        "2026-01-05T12:00:00+01:00", "2026-01-05T00:00:00+00:00", "2026-01-05", "1.10", "YWI=", "YWI=",
        "00000000-0000-0000-0000-000000000001", 2**63, "é", True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": [1], "b": [1, 2]}, "rows: the columns have different lengths: a 1, b 2"),
        ({"a": "text"}, "rows, column 'a': a str is no list of values. One value is a list of one"),
        ({"a": 5}, "rows, column 'a': a int is no list of values"),
        ([{"a": 1}, {"b": 1}], "rows, row 1: it has other columns than row 0: 'a', 'b'"),
        ([{"a": 1}, 7], "rows, row 1: a int is no mapping"),
        (7, "rows: a int is neither columns, rows nor a frame"),
        ("text", "rows: a str is neither"),
        ({"a": np.array(["2026-01-05"], dtype="datetime64[ns]")}, "numpy's times have no zone"),
    ],
)
def test_what_is_no_rows_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        columns_of(rows, "rows")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("inf"), "can't be written as JSON"),
        (datetime(2026, 1, 5), "has no zone"),  # noqa: DTZ001
        (pd.Timestamp("2026-01-05"), "has no zone"),
        (object(), "a object can't be sent"),
    ],
)
def test_what_has_no_form_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        encoded({"a": [value]})


def test_a_zone_by_name() -> None:
    assert encoded({"a": datetime(2026, 1, 5, tzinfo=UTC)}) == b'{"a":"2026-01-05T00:00:00+00:00"}'
