"""``POST /push`` and ``POST /materialize`` as clients of Feast ask them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.server.answering import Answering
from headrace.server.app import application
from headrace.server.materialize_routes import endpoints as materialize_endpoints
from headrace.server.push_routes import endpoints as push_endpoints
from tests.integration.applications import served
from tests.integration.test_push import as_rows, logged
from tests.streaming import as_json, pings, project

MORE = """
orders = hr.EventSource(
    "orders", schema={"order_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp}, event_time="ts",
    dedupe_on="order_id", batch=hr.Files("orders/*.jsonl"))
driver_orders = hr.FeatureView("driver_orders", entity=driver, source=orders, features={"n": hr.count()})
empty = hr.FeatureView("empty", entity=driver, source=orders, features={"last": hr.last("order_id")})
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = project(tmp_path_factory.mktemp("pushed"), sinks="online", more=MORE)
    root = platform.context.root
    for folder in ("orders", "in"):
        (root / folder).mkdir()
    line = '{"order_id": "a", "driver_id": 7, "ts": "2026-01-05T08:00:00Z"}\n'
    (root / "orders" / "a.jsonl").write_text(line)
    platform.ingest("orders")
    platform.backfill("driver_orders")
    return platform


@pytest.fixture(scope="module")
def client(city: Platform) -> Iterator[httpx.Client]:
    answering = Answering(city)
    more = [*push_endpoints(answering, most_rows=50), *materialize_endpoints(answering)]
    with served(application(answering, more)) as client:
        yield client


@pytest.fixture(scope="module")
def streaming(city: Platform) -> Iterator[None]:
    ended = threading.Event()
    thread = threading.Thread(target=lambda: city.stream("gps", Pace(0.05), stop=ended.is_set))
    thread.start()
    while not city.stream_status():
        time.sleep(0.02)
    yield
    ended.set()
    thread.join(60)


def columns(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def row(number: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"http-{number}", "driver_id": 7, "zone": "z1", "ts": "2026-01-05T08:00:00Z", "speed": 1.5,
        "seen_at": "2026-01-05T08:00:01+00:00", **more,
    }  # fmt: skip


def push(client: httpx.Client, df: Any, **more: Any) -> httpx.Response:
    response: httpx.Response = client.post("/push", json={"push_source_name": "gps", "df": df, **more})
    return response


def told(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    message: str = response.json()["error"]["message"]
    return message


def test_a_push_of_feast_s_form_is_written_and_can_be_read(client: httpx.Client, streaming: None) -> None:
    request = {"to": "online_and_offline", "allow_registry_cache": True, "transform_on_write": True, "other": 1}
    body = push(client, columns(row(1), row(2)), wait_seconds=20, **request).json()
    assert (body["rows"], body["readable"], body["reason"]) == (2, True, "")
    ((partition, position),) = body["positions"].items()
    assert partition.startswith("in/pushed-")
    assert position > 0
    asked = {"feature_service": "model", "entities": {"driver_id": [7]}, "at": "2026-01-05T09:00:00Z"}
    answer = client.post("/get-online-features", json=asked).json()
    assert answer["results"][answer["metadata"]["feature_names"].index("n")]["values"] == [2]


def test_rows_may_be_a_list_and_the_url_may_say_how_long_to_wait(client: httpx.Client, streaming: None) -> None:
    body = {"push_source_name": "gps", "df": [row(3), {**row(4), "zone": None}]}
    response = client.post("/push?wait_seconds=20", json=body)
    assert response.json()["readable"] is True, response.text
    assert push(client, []).json()["rows"] == 0
    assert push(client, {}).json()["rows"] == 0


def test_digits_and_spaces_arrive_as_they_were_sent(client: httpx.Client, city: Platform) -> None:
    text = as_json({**pings(1)[0], "event_id": "spaced"}).decode().replace(", ", ",\r\n ")
    client.post("/push", content=f'{{"push_source_name": "gps",\n"df": [\n{text}\n]}}').raise_for_status()
    assert logged(city.context.root)[-1]["event_id"] == "spaced"


def test_refused_rows_are_told_one_by_one(client: httpx.Client, city: Platform) -> None:
    before = len(logged(city.context.root))
    response = push(client, columns(row(5), row(6, speed=99), row(7, ts="yesterday")))
    assert "2 of 3 rows are refused" in told(response, 422)
    assert [(each["row"], each["column"], each["found"]) for each in response.json()["error"]["refused"]] == [
        (2, "speed", "99.0"), (3, "ts", "yesterday"),
    ]  # fmt: skip
    assert len(logged(city.context.root)) == before
    body = push(client, columns(row(5), row(6, speed=99)), partial=True).json()
    assert (body["rows"], body["refused_rows"], len(body["refused"])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"{", 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b'{"df": ' + b"[" * 100_000, 400, "no JSON"),
        (b"[]", 422, "not as it should be"),
        (b'{"push_source_name": "gps"}', 422, "df"),
        (b'{"push_source_name": "gps", "df": 7}', 422, "df"),
        (b'{"push_source_name": "gps", "df": {"a": 7}}', 422, "df"),
        (b'{"push_source_name": "gps", "df": [7]}', 422, "df"),
        (b'{"push_source_name": "gps", "df": {"a": [1], "b": []}}', 422, "different lengths: a 1, b 0"),
        (b'{"push_source_name": "gps", "df": {"speed": [NaN]}}', 400, "no JSON"),
        (b'{"push_source_name": "gsp", "df": {"a": [1]}}', 404, "Did you mean 'gps'"),
        (b'{"push_source_name": "orders", "df": {"order_id": ["a"]}}', 422, "has no stream"),
        (b'{"push_source_name": "gps", "df": {"spead": [1]}}', 422, "Did you mean that"),
        (b'{"push_source_name": "gps", "df": [{"_hr_op": 1}]}', 422, "no column '_hr_op'"),
        (b'{"push_source_name": "gps", "df": {}, "to": "nowhere"}', 422, "online_and_offline"),
        (b'{"push_source_name": "gps", "df": {}, "to": "offline"}', 422, "say the same"),
        (b'{"push_source_name": "gps", "df": {}, "partail": true}', 422, "Did you mean 'partial'"),
        (b'{"push_source_name": "gps", "df": {}, "wait_seconds": -1}', 422, "no number of seconds"),
        (b'{"push_source_name": "gps", "df": {"driver_id": [' + b"9" * 400 + b"]}}", 422, "refused"),
        (b'{"push_source_name": "gps", "df": [' + b",".join([b"{}"] * 51) + b"]}", 413, "at most 50"),
        (b'{"push_source_name": "gps", "df": [{"zone": ' + b"[" * 5_000 + b"]" * 5_000 + b"}]}", None, ""),
    ],
)
def test_what_is_no_push_is_refused(client: httpx.Client, content: bytes, status: int | None, message: str) -> None:
    response = client.post("/push", content=content)
    assert message in told(response, status or response.status_code)
    assert 400 <= response.status_code < 500


def test_many_clients_at_once(client: httpx.Client, city: Platform, streaming: None) -> None:
    def one(number: int) -> httpx.Response:
        return push(client, [row(1_000 + number)], wait_seconds=20)

    with ThreadPoolExecutor(8) as pool:
        answers = [response.json() for response in pool.map(one, range(24))]
    assert all(answer["readable"] for answer in answers), answers
    ids = [each["event_id"] for each in logged(city.context.root)]
    assert all(ids.count(f"http-{1_000 + number}") == 1 for number in range(24))


def test_a_log_that_can_not_be_written_is_503(tmp_path: Path) -> None:
    answering = Answering(
        project(
            tmp_path,
            more='other = hr.EventSource("other", schema=gps.schema, event_time="ts", stream=hr.Kafka("other"))',
        )
    )
    (tmp_path / "in").write_text("no folder")
    with served(application(answering, push_endpoints(answering))) as client:
        response = push(client, [row(1)], wait_seconds=5)
        assert "Nothing was acknowledged" in told(response, 503)
        assert response.headers["retry-after"]
        response = client.post("/push", json={"push_source_name": "other", "df": [row(1)]})
        assert 'set kafka = "host:9092"' in told(response, 503)
        response = client.post("/push", content=b" " * (9 << 20))
        assert "Push fewer rows" in told(response, 413)


# ---------------------------------------------------------------- materialize


def materialize(client: httpx.Client, path: str = "/materialize", **body: Any) -> httpx.Response:
    response: httpx.Response = client.post(path, json=body)
    return response


def test_views_are_brought_online(client: httpx.Client) -> None:
    response = materialize(
        client, start_ts="2026-01-05T00:00:00", end_ts="2026-01-06T00:00:00Z", feature_views=["driver_orders"],
        disable_event_timestamp=False, version=None,
    )  # fmt: skip
    (view,) = response.json()["views"]
    assert (view["view"], view["version"], response.status_code) == ("driver_orders", 1, 200)


def test_all_views_without_a_stream_are_and_each_failure_is_told(client: httpx.Client) -> None:
    response = materialize(client, "/materialize-incremental", end_ts="2026-01-06T00:00:00")
    views = {each["view"]: each for each in response.json()["views"]}
    assert set(views) == {"driver_orders", "empty"}
    assert response.status_code == 503
    assert "headrace backfill empty" in views["empty"]["error"]["message"]
    assert "error" not in views["driver_orders"]
    response = materialize(client, feature_views=["driver_now"])
    assert response.status_code == 422
    assert "written online by the stream" in response.json()["views"][0]["error"]["message"]


def test_one_at_a_time(client: httpx.Client, city: Platform) -> None:
    with city.context.lake.lock("materialize-http"):
        assert "materialized already" in told(materialize(client, feature_views=["driver_orders"]), 409)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("{", 400, "no JSON"),
        ("[]", 422, "not as it should be"),
        ('{"end_ts": "soon"}', 422, "end_ts"),
        ('{"start_ts": "2026-01-06", "end_ts": "2026-01-05"}', 422, "lies behind"),
        ('{"feature_view": ["driver_orders"]}', 422, "Did you mean 'feature_views'"),
        ('{"feature_views": ["driver_ordesr"]}', 404, "Did you mean 'driver_orders'"),
    ],
)
def test_what_is_no_request_to_materialize_is_refused(
    client: httpx.Client, body: str, status: int, message: str
) -> None:
    assert message in told(client.post("/materialize", content=body), status)


def test_a_bad_row_of_a_frame_is_told_by_its_number(city: Platform) -> None:
    report = city.push("gps", [*as_rows(pings(3, 9)), {}], partial=True)
    assert {each.row for each in report.refused} == {report.rows + 1}
