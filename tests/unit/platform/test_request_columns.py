"""What a request must bring, and how its texts are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import narwhals as nw
import pytest

import headrace as hr
from headrace.errors import DefinitionError, UnknownNameError
from headrace.platform.request_columns import check_columns, from_texts, key_columns, python_type, request_columns
from headrace.types import DataType

KEYS = {"driver": hr.Int64, "zone": hr.String}
SCHEMA = {**KEYS, "id": hr.String, "ts": hr.Timestamp, "n": hr.Int64}
REQUEST: dict[str, DataType] = {
    "small": hr.UInt8, "price": hr.Float64, "fee": hr.Decimal(6, 2), "day": hr.Date, "when": hr.Timestamp,
    "open": hr.Bool, "ids": hr.List(hr.Int64),
}  # fmt: skip


def service() -> hr.FeatureService:
    rows = hr.EventSource("rows", schema=SCHEMA, event_time="ts", dedupe_on="id")
    view = hr.FeatureView("v", entity=hr.Entity("place", keys=KEYS), source=rows, features={"n": hr.last("n")})

    @hr.on_demand(inputs=[view["n"]], request=REQUEST, outputs={"same": hr.Int64})
    def echo(n: nw.Series[Any]) -> nw.Series[Any]:
        return n

    return hr.FeatureService("s", features=[view.alias("start", keys={"zone": "start_zone"}), view, echo])


def test_keys_come_first_each_once() -> None:
    assert list(key_columns(service())) == ["driver", "start_zone", "zone"]
    assert list(request_columns(service())) == ["driver", "start_zone", "zone", *REQUEST]


def test_texts_become_values_of_their_columns() -> None:
    texts = {
        "driver": "7", "start_zone": "7", "zone": "", "small": "255", "price": "1e3", "fee": "1.10",
        "day": "2026-01-05", "when": "2026-01-05T08:00:00+01:00", "open": "true", "ids": "[1, null]",
    }  # fmt: skip
    columns = from_texts(service(), [texts], "here")
    assert {name: values[0] for name, values in columns.items()} == {
        "driver": 7, "start_zone": "7", "zone": None, "small": 255, "price": 1000.0, "fee": Decimal("1.10"),
        "day": date(2026, 1, 5), "when": datetime(2026, 1, 5, 7, tzinfo=UTC), "open": True, "ids": [1, None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"),
    [("driver", "7.5"), ("small", "256"), ("small", "-1"), ("day", "5.1."), ("when", "2026-01-05T08:00:00"),
     ("open", "maybe"), ("ids", "1"), ("fee", "x")],
)  # fmt: skip
def test_a_text_that_is_no_value_is_told(name: str, text: str) -> None:
    row = dict.fromkeys(request_columns(service()), "") | {name: text}
    with pytest.raises(DefinitionError, match=f"here, column '{name}': '{text}' is no "):
        from_texts(service(), [row], "here")


def test_columns_that_are_unknown_or_missing_are_told() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'driver'"):
        check_columns(service(), ["drivers"], "here")
    with pytest.raises(DefinitionError, match=r"'zone', 'small'.* are missing. Service 's' needs driver \(Int64\), "):
        check_columns(service(), ["driver", "start_zone"], "here")


@pytest.mark.parametrize("dtype", [hr.Int8, hr.Int16, hr.Int32, hr.Int64, hr.UInt8, hr.UInt16, hr.UInt32])
def test_whole_numbers_are_bounded_by_their_type(dtype: DataType) -> None:
    bits = int(dtype.name.strip("UInt"))
    low, high = (0, 2**bits - 1) if dtype.name.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert [msgspec.convert(bound, python_type(dtype)) for bound in (low, high)] == [low, high]
    for beyond in (low - 1, high + 1):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(beyond, python_type(dtype))
