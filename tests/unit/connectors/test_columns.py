"""Text to typed values: nothing is guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.connectors.columns import narrowed, parse_text
from headrace.types import DataType


def parsed(text: str, dtype: DataType, **options: Any) -> tuple[Any, str | None]:
    zone = options.pop("timezone", None)
    values, failures = parse_text(pl.Series("c", [None, text]), dtype, zone, **options)
    assert values[0] is None
    assert failures["index"].to_list() in ([], [1])
    return values.to_list()[1], failures["reason"].to_list()[0] if failures.height else None


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("7", hr.Int64, 7),
        ("-0", hr.Int8, 0),
        ("255", hr.UInt8, 255),
        ("1e3", hr.Float64, 1000.0),
        ("7", hr.Float32, 7.0),
        ("TRUE", hr.Bool, True),
        ("0", hr.Bool, False),
        ("2026-02-28", hr.Date, date(2026, 2, 28)),
        ("12.50", hr.Decimal(10, 2), Decimal("12.50")),
        ("12.5000", hr.Decimal(10, 2), Decimal("12.50")),
        ("-7", hr.Decimal(10, 2), Decimal("-7.00")),
        ("aGk=", hr.Binary, b"hi"),
        ("x", hr.String, "x"),
        ("[1,2]", hr.Vector(hr.Float32, 2), [1.0, 2.0]),
        ("[1,null]", hr.List(hr.Int64), [1, None]),
        ("2026-01-05T10:00:00Z", hr.Timestamp, datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05 10:00:00.25+00:00", hr.Timestamp, datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-05T10:00:00.123456789Z", hr.Timestamp, datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_values(text: str, dtype: DataType, value: Any) -> None:
    assert parsed(text, dtype) == (value, None)


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        (" 7", hr.Int64),
        ("7 ", hr.Int64),
        ("7.0", hr.Int64),
        ("300", hr.UInt8),
        ("-1", hr.UInt32),
        ("yes", hr.Bool),
        ("2026-02-30", hr.Date),
        ("20260228", hr.Date),
        ("1.005", hr.Decimal(10, 2)),
        ("123456789.1", hr.Decimal(10, 2)),
        ("nan", hr.Decimal(10, 2)),
        ("[1]", hr.Vector(hr.Float32, 2)),
        ("[1,null]", hr.Vector(hr.Float32, 2)),
        ("1,2", hr.List(hr.Int64)),
        ("%%", hr.Binary),
        ("2026-01-05", hr.Timestamp),
        ("1767571200", hr.Timestamp),
        ("2026-01-05T25:00:00Z", hr.Timestamp),
        ("05/01/2026 10:00", hr.Timestamp),
    ],
)
def test_what_is_no_value(text: str, dtype: DataType) -> None:
    assert parsed(text, dtype) == (None, "wrong type")


def test_naive_times() -> None:
    assert parsed("2026-01-05T10:00:00", hr.Timestamp) == (None, "naive time")
    paris = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert parsed("2026-01-05T10:00:00", hr.Timestamp, timezone="Europe/Paris") == (paris, None)


def test_a_time_that_comes_twice_is_the_later_one() -> None:
    found = parsed("2026-10-25T02:30:00", hr.Timestamp, timezone="Europe/Paris")
    assert found == (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), None)


def test_a_time_that_the_clock_skips_fails() -> None:
    found = parsed("2026-03-29T02:30:00", hr.Timestamp, timezone="Europe/Paris")
    assert found == (None, "time skipped by the clock change")


def test_connectors_write_times_as_numbers() -> None:
    assert parsed("1767571200000001", hr.Timestamp, epochs=True)[0] == datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC)
    assert parsed("1767571200000000", hr.Timestamp, epochs=True, timezone="Europe/Paris")[0] == datetime(
        2026, 1, 4, 23, tzinfo=UTC
    )
    assert parsed("20458", hr.Date, epochs=True)[0] == date(2026, 1, 5)


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ([1, 300], hr.UInt8, [1, None]),
        ([0.5, 1e300], hr.Float32, [0.5, None]),
        ([1, 2**53 + 1], hr.Float64, [1.0, None]),
        ([1.0, 1.5], hr.Int64, [1, None]),
    ],
)
def test_numbers_are_narrowed_without_loss(values: list[Any], dtype: DataType, wanted: list[Any]) -> None:
    made, failures = narrowed(pl.Series("c", values), dtype)
    assert made.to_list() == wanted
    assert failures["index"].to_list() == [place for place, value in enumerate(wanted) if value is None]
