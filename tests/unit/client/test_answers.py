"""What an answer says, checked before anyone believes it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import headrace_client
from headrace_client import Features, InvalidRequest, ServerFailed
from headrace_client.answers import features_of
from headrace_client.calls import split, types_in
from headrace_client.types import typed

NOON = "2026-01-05T12:00:00Z"


def body(names: list[str], *columns: list[Any], **metadata: Any) -> bytes:
    results = [
        {"values": values, "statuses": ["PRESENT"] * len(values), "event_timestamps": [NOON] * len(values)}
        for values in columns
    ]
    return json.dumps({"metadata": {"feature_names": names, **metadata}, "results": results}).encode()


def read(content: bytes, entities: dict[str, list[Any]], **types: str) -> Features:
    return features_of(content, entities, types)


def test_what_the_server_says_of_its_views_and_of_failures() -> None:
    views = {"v": {"version": 3, "frontier": NOON, "written_at": "1970-01-01T00:00:00Z", "stream": None}}
    found = read(body(["k", "f"], [1], [7], at=NOON, views=views, failures={"f": "boom"}), {"k": [1]})
    assert found.versions == {"v": 3}
    assert found.views["v"].frontier == found.answered_at == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert found.views["v"].written_at is None
    assert found.failures == {"f": "boom"}


def test_columns_that_only_say_again_what_was_asked_are_left_out() -> None:
    found = read(body(["k", "f"], [1], [7]), {"k": [1], "factor": [2]})
    assert found.rows() == [{"k": 1, "factor": 2, "f": 7}]


def test_a_feature_that_is_called_as_a_key_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"'k' is a feature and a key. Ask with full_names=True"):
        read(body(["k", "f", "k"], [1], [7], [8]), {"k": [1]})


def test_a_feature_that_there_is_not() -> None:
    with pytest.raises(KeyError, match=r"there is no feature 'g' in the answer. There are: f"):
        read(body(["k", "f"], [1], [7]), {"k": [1]}).value("g")


def test_one_answer_for_all() -> None:
    found = read(body(["f"], [7]), {})
    assert found.rows() == [{"f": 7}]
    assert read(body([]), {}).rows() == []


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b"{", b"{}", b'{"metadata": {}, "results": []}',
        body(["k", "f"], [1]), body(["k", "f"], [1], [7], at="yesterday"), body(["k", "f"], [1], [7, 8]),
        body(["k", "f"], [1, 2], [7, 8]),
        b'{"metadata": {"feature_names": ["f"]}, "results": [{"values": [1], "statuses": []}]}',
        b'{"metadata": {"feature_names": ["f"]}, "results": [{"values": [1], "statuses": ["PRESENT", "PRESENT"]}]}',
    ],
)  # fmt: skip
def test_what_is_no_answer_to_these_entities_is_not_believed(content: bytes) -> None:
    with pytest.raises(ServerFailed):
        read(content, {"k": [1]})


def test_a_value_that_is_not_of_its_type_is_not_believed() -> None:
    with pytest.raises(ServerFailed):
        read(body(["k", "f"], [1], ["soon"]), {"k": [1]}, f="Timestamp")


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("Timestamp", NOON, datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("Date", "2026-01-05", date(2026, 1, 5)),
        ("Decimal(10, 2)", "1.10", Decimal("1.10")),
        ("Binary", "YWI=", b"ab"),
        ("List(Date)", ["2026-01-05", None], [date(2026, 1, 5), None]),
        ("List(Decimal(10, 2))", ["1.10"], [Decimal("1.10")]),
        ("Vector(Float32, 2)", [1.0, 2.0], [1.0, 2.0]),
        ("Int64", 2**60, 2**60),
        ("String", NOON, NOON),
        (None, NOON, NOON),
    ],
)
def test_text_becomes_what_its_type_says(type_name: str | None, value: Any, expected: Any) -> None:
    assert typed([value, None], type_name) == [expected, None]


def test_types_by_full_and_by_bare_names() -> None:
    features = [{"name": "a__x", "type": "Date"}, {"name": "b__x", "type": "Int64"}, {"name": "b__y", "type": "Binary"}]
    assert types_in({"features": features}) == {"a__x": "Date", "b__x": "Int64", "b__y": "Binary", "y": "Binary"}


def test_parts_keep_the_order() -> None:
    assert split({"k": [1, 2, 3], "z": [4, 5, 6]}, 2) == [{"k": [1, 2], "z": [4, 5]}, {"k": [3], "z": [6]}]
    assert split({"k": [1, 2, 3]}, None) == split({"k": [1, 2, 3]}, 3) == [{"k": [1, 2, 3]}]
    assert split({}, 2) == [{}]


def test_frames_of_answers_without_columns() -> None:
    found = read(body(["k", "f"], [1, 2], [0.5, None]), {"k": [1, 2]})
    assert found.to_polars().to_dict(as_series=False) == {"k": [1, 2], "f": [0.5, None]}
    assert list(found.to_pandas().columns) == ["k", "f"]


def test_the_names_that_are_exported() -> None:
    assert headrace_client.__all__ == [
        "AsyncClient", "Client", "Column", "DeadlineExceeded", "Features", "HeadraceClientError", "InvalidRequest",
        "NotFound", "Overloaded", "ServerFailed", "Unauthorized", "Unavailable", "View",
    ]  # fmt: skip
