"""The HTTP server as its clients see it: the real process, over real HTTP, in the form of Feast."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.platform import Platform
from headrace.types import instant
from tests.integration.serving import GLOBAL, Serving, ping, project, publish, serving

EPOCH = "1970-01-01T00:00:00Z"
HOUR = 3_600
NEW_PINGS = [ping(7, 5, 3 * HOUR), ping(7, 4, 60), ping(8, 3, 3 * HOUR, "y"), ping(9, None, 30)]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = project(tmp_path_factory.mktemp("served") / "city")
    publish(platform, NEW_PINGS)
    return platform


@pytest.fixture(scope="module")
def server(city: Platform) -> Iterator[Serving]:
    with serving(city.context.root, "--most-rows", "200") as running:
        yield running


def drivers(*ids: int | None, **more: Any) -> dict[str, Any]:
    return {"feature_service": "model", "entities": {"driver_id": list(ids)}, **more}


# ---------------------------------------------------------------- the form of Feast


def test_a_service_in_the_form_that_feast_s_clients_read(server: Serving) -> None:
    body = server.ask(drivers(7, 8)).json()
    assert body["metadata"]["feature_names"] == ["driver_id", "rows", "total", "n", "seen"]
    keys, rows, total, last, _ = body["results"]
    assert keys == {"values": [7, 8], "statuses": ["PRESENT"] * 2, "event_timestamps": [EPOCH] * 2}
    assert (rows["values"], total["values"]) == ([2, 1], [9, 3])
    assert (last["values"], last["statuses"]) == ([4, None], ["PRESENT", "OUTSIDE_MAX_AGE"])
    assert [instant(text) for text in rows["event_timestamps"]] == [NEW_PINGS[1]["ts"], NEW_PINGS[2]["ts"]]


def test_all_timestamps_are_read_as_feast_reads_them(server: Serving) -> None:
    """Its remote store puts +00:00 in the place of Z and parses what there is, for entities without a value too."""
    for column in server.ask(drivers(7, 404)).json()["results"]:
        for text in column["event_timestamps"]:
            assert datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None  # noqa: FURB162


def test_features_come_in_the_order_in_which_they_were_asked_for(server: Serving) -> None:
    wanted = ["driver_now:total", "place_now:rows", "driver_now:n", "scaled:same"]
    entities = {"zone": ["x"], "factor": [3], "driver_id": [7]}
    answer = server.answer({"features": wanted, "entities": entities})
    assert list(answer) == ["driver_id", "zone", "total", "rows", "n", "same"]
    backwards = server.answer({"features": wanted[::-1], "entities": entities})
    assert list(backwards)[2:] == ["same", "n", "rows", "total"]
    assert all(backwards[name] == answer[name] for name in answer)


def test_full_names(server: Serving) -> None:
    answer = server.answer(drivers(7, full_feature_names=True))
    assert list(answer) == ["driver_id", *(f"driver_now__{name}" for name in ("rows", "total", "n", "seen"))]


def test_bare_names_that_collide_are_refused_and_full_ones_are_not(server: Serving) -> None:
    request = {"feature_service": "places", "entities": {"driver_id": [7], "zone": ["x"]}}
    message = server.told(request, 422)
    assert "place_now__rows, driver_now__rows" in message
    assert "full_feature_names" in message
    assert server.answer({**request, "full_feature_names": True})["place_now__rows"] == [(2, "PRESENT")]


def test_a_key_that_is_not_there_a_null_key_and_a_null_value(server: Serving) -> None:
    answer = server.answer(drivers(404, None, 9))
    assert answer["driver_id"] == [(404, "PRESENT"), (None, "PRESENT"), (9, "PRESENT")]
    assert answer["total"] == [(None, "NOT_FOUND"), (None, "NOT_FOUND"), (None, "NULL_VALUE")]
    assert answer["rows"][2] == (1, "PRESENT")


def test_a_request_may_ask_for_another_time_than_now(server: Serving, city: Platform) -> None:
    soon, in_three_hours = (f"{datetime.now(UTC) + timedelta(hours=h):%Y-%m-%dT%H:%M:%S.%fZ}" for h in (1, 3))
    assert server.answer(drivers(7, at=soon))["n"] == [(4, "PRESENT")]
    later = server.answer(drivers(7, 9, at=in_three_hours))
    assert later["n"] == [(None, "OUTSIDE_MAX_AGE")] * 2  # older than the view's two hours by then
    asked = city.online("model", {"driver_id": [7, 9]}, at=in_three_hours)
    assert [value for value, _ in later["total"]] == asked.to_dict()["driver_now__total"] == [9, None]
    long_ago = server.answer(drivers(7, at="2026-01-05"))
    assert {status for _, status in long_ago["total"]} == {"INCOMPLETE"}
    assert server.answer(drivers(7, at=None))["n"] == [(4, "PRESENT")]


def test_composite_keys(server: Serving) -> None:
    request = {"features": ["place_now:rows"], "entities": {"driver_id": [7, 7, 8], "zone": ["x", "y", "y"]}}
    assert server.answer(request)["rows"] == [(2, "PRESENT"), (None, "NOT_FOUND"), (1, "PRESENT")]


def test_times_decimals_bytes_and_days_as_json(server: Serving) -> None:
    answer = server.answer({"feature_service": "values", "entities": {"driver_id": [7]}})
    assert answer["fees"] == [("2.20", "PRESENT")]
    assert answer["token"] == [("YWI=", "PRESENT")]
    assert answer["day"] == [("2026-01-05", "PRESENT")]
    assert instant(answer["seen"][0][0]) == NEW_PINGS[1]["ts"]


@pytest.mark.parametrize("place", ["entities", "request_context"])
def test_on_demand_features_take_their_columns_from_the_request(server: Serving, place: str) -> None:
    request: dict[str, Any] = {"feature_service": "scaling", "entities": {"driver_id": [7, 8]}}
    request.setdefault(place, {})["factor"] = [10, 100]
    answer = server.answer(request)
    assert list(answer) == ["driver_id", "product", "same", "total"]
    assert [value for value, _ in answer["product"]] == [90, 300]


def test_a_view_without_an_entity_and_one_that_is_not_served(tmp_path: Path) -> None:
    offline = (
        "\noffline = hr.FeatureView('offline', entity=driver, source=pings, online=False, features={'n': hr.last('n')})"
    )
    platform = project(tmp_path / "city", GLOBAL + offline)
    publish(platform, NEW_PINGS)
    with serving(platform.context.root) as running:
        assert running.answer({"feature_service": "city"}) == {"pings": [(len(NEW_PINGS), "PRESENT")]}
        request = {"features": ["offline:n"], "entities": {"driver_id": [7]}}
        assert "not served online" in running.told(request, 422)
        assert running.client.get("/ready").status_code == 200


def test_nobody_is_answered_with_empty_columns(server: Serving) -> None:
    assert server.answer(drivers()) == {name: [] for name in ("driver_id", "rows", "total", "n", "seen")}


# ---------------------------------------------------------------- what is wrong with a request


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"entities": {"driver_id": [1,}}',
        b"\xff\xfe",
        b'{"more": ' + b"[" * 100_000,
        b'{"features": ["place_now:rows"], "entities": {"driver_id": [7], "zone": ["\xff"]}}',
    ],
    ids=["nothing", "cut off", "a comma", "no text", "deep", "a key that is no text"],
)
def test_what_is_no_json_is_400(server: Serving, body: bytes) -> None:
    response = server.client.post("/get-online-features", content=body)
    assert response.status_code == 400
    assert "is no JSON" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ({"feature_service": "modle"}, "no service 'modle'. Did you mean 'model'?"),
        ({"features": ["driver_then:total"]}, "no view 'driver_then'. Did you mean 'driver_now'?"),
        ({"features": ["driver_now:totals"]}, "no feature 'totals'. Did you mean 'total'?"),
        ({"features": ["scaled:produce"]}, "no feature 'produce'. Did you mean 'product'?"),
    ],
)
def test_what_is_not_there_is_404_with_the_nearest_name(server: Serving, request_: dict[str, Any], hint: str) -> None:
    assert hint in server.told({"entities": {"driver_id": [7]}, **request_}, 404)


@pytest.mark.parametrize(
    ("request_", "hint"),
    [
        ([], "Expected `object`, got `array`"),
        ({}, "name either a feature_service or features"),
        ({"feature_service": "model", "features": []}, "name either a feature_service or features"),
        ({"features": []}, "there are none"),
        ({"features": ["total"]}, "names no view"),
        ({"features": ["driver_now:total"] * 2}, "named twice"),
        ({"feature_service": "model"}, "'driver_id' is missing"),
        ({"feature_service": "model", "entities": {"driver": [7]}}, "Did you mean 'driver_id'?"),
        ({"feature_service": "model", "entities": {"driver_id": 7}}, "Expected `array`, got `int`"),
        ({"feature_service": "model", "entities": {"driver_id": ["7"]}}, "Expected `int | null`, got `str`"),
        ({"feature_service": "model", "entities": {"driver_id": [7.5]}}, "Expected `int | null`, got `float`"),
        ({"feature_service": "model", "entities": {"driver_id": [2**63]}}, "column 'driver_id': Expected `int`"),
        ({"feature_service": "model", "entities": {"driver_id": [7] * 201}}, "at most 200"),
        ({"features": ["place_now:rows"], "entities": {"driver_id": [7, 8], "zone": ["x"]}}, "driver_id 2, zone 1"),
        ({"feature_service": "scaling", "entities": {"driver_id": [7]}}, "'factor' is missing"),
        ({"feature_service": "model", "entities": {"driver_id": [7]}, "at": "noon"}, "at: 'noon' is no time"),
        ({"feature_service": "model", "entities": {"driver_id": [7]}, "at": "2026-01-05T08:00"}, "has no time zone"),
        ({"feature_service": "model", "entities": {"driver_id": [7]}, "at": 1767600000}, "Expected `str | null`"),
        ({"feature_service": "model", "entities": {"driver_id": [7]}, "request_context": {"driver_id": [7]}}, "once"),
    ],
)  # fmt: skip
def test_what_can_not_be_answered_is_422(server: Serving, request_: Any, hint: str) -> None:
    assert hint in server.told(request_, 422)


def test_an_on_demand_function_that_raises_fails_alone_and_tells_what_it_said(server: Serving) -> None:
    request = {"features": ["driver_now:total", "failing:never"], "entities": {"driver_id": [7]}}
    body = server.ask(request).json()
    assert [(each["values"], each["statuses"]) for each in body["results"][1:]] == [
        ([9], ["PRESENT"]), ([None], ["FAILED"])
    ]  # fmt: skip
    assert "on_demand 'failing' (features.failing): ZeroDivisionError" in body["metadata"]["failures"]["never"]


def test_what_a_feast_client_sends_beside_is_passed_over(server: Serving) -> None:
    assert server.answer(drivers(7, project="city", some_option=True))["total"] == [(9, "PRESENT")]


@pytest.mark.parametrize(("typo", "meant"), [("At", "at"), ("full_feature_name", "full_feature_names")])
def test_a_member_that_is_nearly_a_known_one_is_a_typo(server: Serving, typo: str, meant: str) -> None:
    response = server.client.post("/get-online-features", json=drivers(7, **{typo: True}))
    assert response.status_code == 422
    assert f"'{typo}'. Did you mean '{meant}'?" in response.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/get-online-features", 405), ("GET", "/nothing", 404)])
def test_an_unknown_route_names_the_known_ones(server: Serving, method: str, path: str, status: int) -> None:
    response = server.client.request(method, path)
    assert response.status_code == status
    assert "POST /get-online-features" in response.json()["error"]["message"]
    assert response.headers.get("allow", "POST") == "POST"


# ---------------------------------------------------------------- health, readiness, metrics


def test_health_and_readiness(server: Serving) -> None:
    assert server.client.get("/health").json() == {"status": "up"}
    ready = server.client.get("/ready")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


def test_a_view_that_is_not_in_the_store_is_told(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    with serving(platform.context.root) as running:
        assert running.client.get("/health").status_code == 200
        ready = running.client.get("/ready")
        assert ready.status_code == 503
        assert {"driver_now", "place_now"} == {r.split("'")[1] for r in ready.json()["reasons"]}
        assert "headrace" in running.told(drivers(7), 503)
        publish(platform, NEW_PINGS)
        assert running.client.get("/ready").status_code == 200
        assert running.answer(drivers(7))["total"] == [(9, "PRESENT")]


def metrics(running: Serving) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values."""
    response = running.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(response.text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_metrics_count_requests_and_values_and_tell_versions(city: Platform) -> None:
    with serving(city.context.root) as running:
        running.answer(drivers(7, 8, 404))
        running.told(drivers("x"), 422)  # type: ignore[arg-type]
        found = metrics(running)
    route = "/get-online-features"
    assert found["headrace_request_seconds_count", route, "model", "200"] == 1
    assert found["headrace_request_seconds_count", route, "model", "422"] == 1
    assert 0 < found["headrace_request_seconds_sum", route, "model", "200"] < 10
    assert found["headrace_store_read_seconds_count", "lmdb"] >= 1
    assert found["headrace_value_age_seconds_count", "driver_now"] == 1
    assert found["headrace_inflight_requests",] == 0
    assert found["headrace_breaker_open", "lmdb"] == 0
    counts = {"PRESENT": 4 + 3 - 1, "OUTSIDE_MAX_AGE": 2, "NOT_FOUND": 4}
    assert {status: found["headrace_values_total", status, "driver_now"] for status in counts} == counts
    head = city.versions("driver_now").publications[-1]
    assert found["headrace_view_version", "driver_now"] == head.number
    assert found["headrace_view_frontier_seconds", "driver_now"] == pytest.approx(head.frontier / 1e6)
    assert 0 < found["headrace_view_lag_seconds", "driver_now"] < HOUR
    assert found["headrace_online_store_up",] == 1
    assert any(name[0] == "headrace_build_info" for name in found)


# ---------------------------------------------------------------- many at once


def test_fifty_requests_at_once(server: Serving) -> None:
    expected = server.answer(drivers(7, 8, 404))
    requests = [drivers(7, 8, 404) if place % 5 else drivers(*range(200)) for place in range(50)]
    with ThreadPoolExecutor(50) as pool:
        responses = list(pool.map(server.ask, requests))
    assert {response.status_code for response in responses} == {200}
    small = [
        response.json()
        for request, response in zip(requests, responses, strict=True)
        if len(request["entities"]["driver_id"]) == 3
    ]
    assert all(
        [column["values"] for column in body["results"]] == [[v for v, _ in c] for c in expected.values()]
        for body in small
    )


def test_what_is_published_meanwhile_shows_at_once_and_no_request_fails(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    publish(platform, [ping(7, 1, 600)])
    with serving(platform.context.root) as running, ThreadPoolExecutor(1) as pool:
        for number in range(2, 5):
            asking = pool.submit(ask_until, running, number)
            publish(platform, [ping(7, 1, 600 - number)])
            seen = asking.result(timeout=60)
            assert sorted(seen) == seen
            assert set(seen) <= {number - 1, number}


def ask_until(running: Serving, total: int) -> list[int]:
    """The totals that requests are answered with, to the first that is as wanted."""
    seen: list[int] = []
    deadline = time.monotonic() + 60
    while total not in seen:
        answer = running.answer(drivers(7))
        assert answer["rows"][0][0] == answer["total"][0][0]
        seen.append(answer["total"][0][0])
        assert time.monotonic() < deadline
    return seen


def test_the_body_may_come_in_pieces(server: Serving) -> None:
    body = json.dumps(drivers(7)).encode()
    response = server.client.post("/get-online-features", content=iter([body[:9], body[9:]]))
    assert response.status_code == 200
    assert isinstance(response, httpx.Response)


def test_a_new_definition_is_published_meanwhile_and_what_it_still_has_is_served_on(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    publish(platform, [ping(7, 1, 600)])
    with serving(platform.context.root) as running:
        before = running.answer(drivers(7))
        features = platform.context.root / "features.py"
        features.write_text(
            features.read_text().replace('"n": hr.last("n"),', '"n": hr.last("n"), "most": hr.max("n"),')
        )
        changed = Platform.open(platform.context.root)
        changed.apply()
        changed.backfill("driver_now")
        assert running.answer(drivers(7)) == before
        head = changed.versions("driver_now").publications[-1]
        assert head.fingerprint != changed.versions("driver_now").publications[0].fingerprint
        assert metrics(running)["headrace_view_version", "driver_now"] == head.number
