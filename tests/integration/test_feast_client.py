"""Feast's own client reads from headrace's server: its Python remote online store, in its own environment."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from headrace.server.security.keys_file import new_key
from tests.feast_environment import feast, feast_python
from tests.integration.serving import ping, project, publish, serving

pytestmark = pytest.mark.thorough
HOUR = 3_600
PINGS = [ping(7, 5, 3 * HOUR), ping(7, 4, 60), ping(8, 3, 3 * HOUR, "y"), ping(9, None, 30)]
DRIVERS = [{"driver_id": 7}, {"driver_id": 8}, {"driver_id": 9}, {"driver_id": 404}]
CHILD = Path(__file__).with_name("feast_client_child.py")
QUESTIONS: dict[str, dict[str, Any]] = {
    "service": {"feature_service": "model", "entity_rows": DRIVERS},
    "features": {"features": ["driver_now:total", "driver_now:n", "driver_now:rows"], "entity_rows": DRIVERS},
    "full": {"features": ["driver_now:rows", "place_now:rows"], "full_feature_names": True,
             "entity_rows": [{"zone": "x", "driver_id": 7}, {"zone": "y", "driver_id": 8},
                             {"zone": "x", "driver_id": 8}]},
    "columns": {"features": ["driver_now:total"], "entity_rows": {"driver_id": [8, 7]}},
    "on demand": {"features": ["scaled:product", "driver_now:total"], "entity_rows": [{"driver_id": 7, "factor": 10}]},
    "failing": {"features": ["failing:never", "driver_now:total"], "entity_rows": [{"driver_id": 7}]},
    "versions": {"features": ["driver_now:total"], "entity_rows": [{"driver_id": 7}],
                 "include_feature_view_version_metadata": True},
    "unknown": {"features": ["driver_now:totl"], "entity_rows": DRIVERS},
    "untyped": {"features": ["driver_now:total"], "entity_rows": [{"driver_id": "seven"}]},
    "more columns": {"features": ["driver_now:total"], "entity_rows": [{"driver_id": 7, "weather": "wet"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Feast's client was answered, by question; it is started once."""
    feast_python()
    folder = tmp_path_factory.mktemp("feast_client")
    platform = project(folder / "city")
    publish(platform, PINGS)
    other = shutil.copytree(platform.context.root, folder / "guarded" / "city")
    _, key = new_key(other / "keys.json", time.time_ns() // 1_000, rights=["read"])
    with serving(platform.context.root) as server, serving(other) as guarded:
        urls = {"path": server, "guarded": guarded}
        request = {name: str(each.client.base_url).rstrip("/") for name, each in urls.items()}
        asking = {**request, "key": key, "questions": list(QUESTIONS.values()), "ids": [7, 404]}
        found = feast(CHILD, asking, cwd=folder)
    answers = dict(zip(QUESTIONS, found["answers"], strict=True))
    return {**answers, "views": found["views"], "guarded": found["guarded"]}


def test_a_service_s_values_and_statuses(told: dict[str, Any]) -> None:
    answer = told["service"]
    assert answer["names"] == ["driver_id", "rows", "total", "n", "seen"]
    assert answer["values"]["driver_id"] == [7, 8, 9, 404]
    assert answer["values"]["rows"] == [2, 1, 1, None]
    assert answer["values"]["total"] == [9, 3, None, None]
    assert answer["values"]["n"] == [4, None, None, None]
    assert answer["statuses"]["n"] == ["PRESENT", "OUTSIDE_MAX_AGE", "NULL_VALUE", "NOT_FOUND"]
    assert answer["statuses"]["total"] == ["PRESENT", "PRESENT", "NULL_VALUE", "NOT_FOUND"]
    assert answer["statuses"]["driver_id"] == ["PRESENT"] * 4


def test_features_one_by_one_in_the_order_asked_for(told: dict[str, Any]) -> None:
    answer = told["features"]
    assert answer["names"] == ["driver_id", "total", "n", "rows"]
    assert answer["values"]["total"] == [9, 3, None, None]


def test_composite_keys_and_full_names(told: dict[str, Any]) -> None:
    answer = told["full"]
    assert answer["values"]["place_now__rows"] == [2, 1, None]
    assert answer["statuses"]["place_now__rows"] == ["PRESENT", "PRESENT", "NOT_FOUND"]
    assert answer["values"]["driver_now__rows"] == [2, 1, 1]


def test_entities_as_columns(told: dict[str, Any]) -> None:
    assert told["columns"]["values"] == {"driver_id": [8, 7], "total": [3, 9]}


def test_on_demand_features_with_a_column_of_the_request(told: dict[str, Any]) -> None:
    assert told["on demand"]["values"] == {"driver_id": [7], "product": [90], "total": [9]}


def test_a_status_that_feast_does_not_know_is_invalid_and_the_others_stay(told: dict[str, Any]) -> None:
    answer = told["failing"]
    assert answer["values"] == {"driver_id": [7], "never": [None], "total": [9]}
    assert answer["statuses"]["never"] == ["INVALID"]


def test_asking_for_versions_as_well(told: dict[str, Any]) -> None:
    assert told["versions"]["values"]["total"] == [9]


def test_feast_s_own_parts_read_a_view_by_its_keys(told: dict[str, Any]) -> None:
    assert told["views"] == [{"rows": 2, "n": 4}, {"rows": None, "n": None}]


def test_a_key_is_given_as_feast_s_token(told: dict[str, Any]) -> None:
    without, with_key = told["guarded"]
    assert "401" in without["message"]
    assert with_key["values"]["total"] == [9]


@pytest.mark.parametrize(("question", "hint"), [("unknown", "total"), ("untyped", "driver_id")])
def test_an_error_comes_with_its_reason(told: dict[str, Any], question: str, hint: str) -> None:
    assert hint in told[question]["message"], told[question]
