"""Which sinks a stream has, and what its steps look like as messages."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from headrace.errors import SettingsError
from headrace.platform.stream_sinks import Sinks
from headrace.platform.stream_topics import messages

AT = datetime(2026, 1, 5, 8, 0, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "sinks"),
    [
        ("online", Sinks()),
        ("online, lake", Sinks(lake=True)),
        ("online,kafka:city.", Sinks(topics="city.")),
        (" kafka:a-b_C.9 , lake , online ", Sinks(lake=True, topics="a-b_C.9")),
    ],
)
def test_sinks_are_read_from_the_setting(text: str, sinks: Sinks) -> None:
    assert Sinks.of(text) == sinks


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "no sink ''"),
        ("online, lakes", "no sink 'lakes'"),
        ("online, Kafka:city.", "no sink 'Kafka:city.'"),
        ("lake", "name online"),
        ("kafka:city.", "name online"),
        ("online, online", "each sink once"),
        ("online, lake, lake", "each sink once"),
        ("online, kafka:a, kafka:b", "each sink once"),
        ("online, kafka:", "begin with ''"),
        ("online, kafka:my city", "begin with 'my city'"),
        (f"online, kafka:{'a' * 121}", "begin with"),
    ],
)
def test_a_setting_that_names_no_sinks_is_refused(text: str, what: str) -> None:
    with pytest.raises(SettingsError, match=what):
        Sinks.of(text)


def test_a_message_has_all_columns_and_its_key_the_entity_alone() -> None:
    steps = pl.DataFrame({"driver_id": [7, 8], "zone": ["a", None], "valid_from": [AT, AT], "n": [3, 0], "_hr_x": 1})
    first, second = messages(steps, ["driver_id", "zone"])
    assert first == (
        '{"driver_id":7,"zone":"a"}',
        '{"driver_id":7,"zone":"a","valid_from":"2026-01-05T08:00:00.000001Z","n":3}',
    )
    assert second[0] == '{"driver_id":8,"zone":null}'


def test_steps_of_a_view_without_an_entity_have_one_key() -> None:
    steps = pl.DataFrame({"valid_from": [AT, AT], "n": [1, 2]})
    assert [key for key, _ in messages(steps, [])] == ["{}", "{}"]


def test_no_steps_are_no_messages() -> None:
    assert list(messages(pl.DataFrame({"k": [1], "valid_from": [AT]}).clear(), ["k"])) == []


@pytest.mark.parametrize(
    ("series", "wanted"),
    [
        (pl.Series([0.1 + 0.2, 1e300, -0.0, 5e-324]), [0.1 + 0.2, 1e300, -0.0, 5e-324]),
        (pl.Series([math.nan, math.inf, -math.inf, None]), [None] * 4),
        (pl.Series([0.1], dtype=pl.Float32), [0.1]),
        (pl.Series([2**63 - 1, -(2**63)]), [2**63 - 1, -(2**63)]),
        (pl.Series([2**32 - 1], dtype=pl.UInt32), [2**32 - 1]),
        (pl.Series([True, None]), [True, None]),
        (pl.Series(['é "\n\x01\u2028\U0001f600', ""]), ['é "\n\x01\u2028\U0001f600', ""]),
        (pl.Series([b"\x00\xff", b"", None]), [base64.b64encode(b"\x00\xff").decode(), "", None]),
        (pl.Series([date(2026, 1, 5), None]), ["2026-01-05", None]),
        (pl.Series([datetime(1969, 12, 31, 23, 59, 59, 5, tzinfo=UTC), None]), ["1969-12-31T23:59:59.000005Z", None]),
        (pl.Series([Decimal("1.10"), Decimal("-0.05"), None]), ["1.10", "-0.05", None]),
        (pl.Series([Decimal(10) ** 15 / 100], dtype=pl.Decimal(18, 2)), ["10000000000000.00"]),
        (pl.Series([[1.5, math.nan, None], [], None]), [[1.5, None, None], [], None]),
        (pl.Series([[AT], []]), [["2026-01-05T08:00:00.000001Z"], []]),
        (pl.Series([[b"a"], [None]]), [["YQ=="], [None]]),
        (pl.Series([[1.0, 2.0], None], dtype=pl.Array(pl.Float32, 2)), [[1.0, 2.0], None]),
        (pl.Series([None, None]), [None, None]),
    ],
)
def test_every_type_as_json(series: pl.Series, wanted: list[object]) -> None:
    steps = pl.DataFrame({"k": range(len(series)), "v": series})
    found = [json.loads(value)["v"] for _, value in messages(steps, ["k"])]
    assert repr(found) == repr(wanted)


def test_many_steps_keep_their_order() -> None:
    steps = pl.DataFrame({"k": pl.int_range(120_000, eager=True)})
    assert [json.loads(value)["k"] for _, value in messages(steps, ["k"])] == list(range(120_000))
