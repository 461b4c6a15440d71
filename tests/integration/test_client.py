"""The Python client against the real server, and against servers that misbehave."""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headrace.platform.stream_pace import Pace
from headrace_client import (
    Client,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    Overloaded,
    ServerFailed,
    Unauthorized,
    Unavailable,
)
from tests.integration.asking import Connect, connect
from tests.integration.serving import Serving, ping, project, publish, serving
from tests.integration.wayward import answer, dribble, reset, stall, wayward
from tests.streaming import project as streaming_project

__all__ = ["connect"]
README = Path(__file__).parents[2] / "clients" / "python" / "README.md"

GONE = {"metadata": {"feature_names": ["driver_id", "total"]}, "results": [
    {"values": [1], "statuses": ["PRESENT"], "event_timestamps": ["1970-01-01T00:00:00Z"]},
    {"values": [7], "statuses": ["PRESENT"], "event_timestamps": ["2026-01-05T12:00:00Z"]},
]}  # fmt: skip
"""As Feast's server answers: no versions, no time."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("client") / "city"
    rows = [ping(driver, 10 * driver, ago) for driver in range(1, 31) for ago in (30, 60)]
    publish(project(root), [*rows, ping(99, None, 9_000)])
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Serving]:
    with serving(root) as server:
        yield server


@pytest.fixture
def url(server: Serving) -> str:
    return str(server.client.base_url)


def test_values_statuses_and_ages_as_they_were_asked_for(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    features = client.features("model", {"driver_id": [3, 99, 1, 1_000]})
    assert features.names == ("rows", "total", "n", "seen")
    assert features.columns()["total"] == [60, None, 20, None]
    assert features.columns()["driver_id"] == [3, 99, 1, 1_000]
    assert features.statuses["n"] == ["PRESENT", "OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND"]
    assert features.rows()[2]["rows"] == 2
    age = features.age("total", 0)
    assert timedelta(seconds=30) <= age < timedelta(seconds=300)
    assert features.age("total", 3) is None
    assert abs(features.answered_at - datetime.now(UTC)) < timedelta(seconds=60)
    assert len(features) == 4


def test_features_one_by_one_in_any_order_with_full_names(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    features = client.features(["driver_now:n", "driver_now:rows"], [{"driver_id": 5}], full_names=True)
    assert features.rows() == [{"driver_id": 5, "driver_now__n": 50, "driver_now__rows": 2}]


def test_a_composite_key_and_a_column_of_an_on_demand_feature(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    places = client.features("places", {"driver_id": [1, 1], "zone": ["x", "y"]}, full_names=True)
    assert places.columns()["place_now__rows"] == [2, None]
    assert places.status("place_now__rows", 1) == "NOT_FOUND"
    scaled = client.features("scaling", {"driver_id": [2], "factor": [3]})
    assert scaled.rows() == [{"driver_id": 2, "factor": 3, "product": 120, "same": 40, "total": 40}]


def test_a_past_time(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    at = datetime.now(UTC) - timedelta(days=2)
    features = client.features("model", {"driver_id": [1]}, at=at)
    assert features.status("n") == "INCOMPLETE", "nothing is known of that time"
    assert features.answered_at == at
    with pytest.raises(InvalidRequest, match="has no zone"):
        client.features("model", {"driver_id": [1]}, at=datetime(2026, 1, 5))  # noqa: DTZ001


def test_versions_are_told(connect: Connect, url: str) -> None:
    features = connect(url, timeout_seconds=30).features("places", {"driver_id": [1], "zone": ["x"]}, full_names=True)
    assert features.versions == {"place_now": 1, "driver_now": 1}
    assert features.views["driver_now"].frontier is not None


def test_types_are_made_of_text(connect: Connect, url: str) -> None:
    row = connect(url, timeout_seconds=30).features("values", {"driver_id": [1]}).rows()[0]
    assert row["fees"] == Decimal("2.20")
    assert row["token"] == b"ab"
    assert row["day"] == date(2026, 1, 5)
    assert row["seen"].tzinfo is not None
    plain = connect(url, timeout_seconds=30, typed=False).features("values", {"driver_id": [1]}).rows()[0]
    assert (plain["fees"], plain["token"], plain["day"]) == ("2.20", b64encode(b"ab").decode(), "2026-01-05")


def test_services_and_health(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    assert [each["name"] for each in client.services()] == ["model", "places", "scaling", "values"]
    assert client.health()["status"] == "up"


def test_a_wrong_name_is_told_with_the_nearest(connect: Connect, url: str) -> None:
    client = connect(url, timeout_seconds=30)
    with pytest.raises(NotFound, match="there is no service 'modle'") as failed:
        client.features("modle", {"driver_id": [1]})
    assert failed.value.nearest == ("model",)
    with pytest.raises(NotFound) as failed:
        client.features(["driver_now:totl"], {"driver_id": [1]})
    assert failed.value.nearest == ("total",)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ({"driver_id": ["one"]}, "Expected `int"),
        ({}, "'driver_id' is missing"),
        ({"driver_id": [1], "driver": [1]}, "there is no column 'driver'"),
        ({"driver_id": [2**70]}, "driver_id"),
    ],
)
def test_a_wrong_request_is_told_in_the_servers_words(
    connect: Connect, url: str, entities: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as failed:
        connect(url, timeout_seconds=30).features("model", entities)
    assert failed.value.status in (400, 422)


def test_frames_of_pandas_and_polars(connect: Connect, url: str) -> None:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl

    client = connect(url, timeout_seconds=30)
    features = client.features("model", pd.DataFrame({"driver_id": [1.0, float("nan"), 3.0]}))
    assert features.columns()["driver_id"] == [1, None, 3], "a frame makes floats of whole numbers with a gap"
    assert features.statuses["total"] == ["PRESENT", "NOT_FOUND", "PRESENT"]
    assert features.to_pandas()["total"].iloc[0] == 20
    again = client.features("model", pl.DataFrame({"driver_id": [3, 1]}))
    assert again.to_polars()["total"].to_list() == [60, 20]


def test_a_large_request_is_asked_in_parts(connect: Connect, url: str) -> None:
    drivers = [1 + number % 30 for number in range(100)]
    features = connect(url, timeout_seconds=30, most_rows=7).features("model", {"driver_id": drivers})
    assert features.columns()["total"] == [20 * driver for driver in drivers]
    assert len(features) == 100


def test_threads_share_a_client(url: str) -> None:
    with Client(url, timeout_seconds=30, typed=False, most_connections=4) as client, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: client.features("model", {"driver_id": [n]}).value("total"), [*range(1, 31)] * 4)
        assert list(found) == [20 * driver for driver in range(1, 31)] * 4


def _in_child(client: Client, driver: int, found: Any) -> None:
    found.put([client.features("model", {"driver_id": [driver]}).value("total") for _ in range(5)])


def test_a_client_goes_on_after_a_fork(url: str) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    fork = multiprocessing.get_context("fork")
    with Client(url, timeout_seconds=30) as client:
        assert client.features("model", {"driver_id": [1]}).value("total") == 20
        found = fork.Queue()
        children = [fork.Process(target=_in_child, args=(client, driver, found)) for driver in (2, 3)]
        for child in children:
            child.start()
        own = [client.features("model", {"driver_id": [1]}).value("total") for _ in range(5)]
        assert sorted(found.get(timeout=30) for _ in children) == [[40] * 5, [60] * 5]
        assert own == [20] * 5
        for child in children:
            child.join(timeout=10)


@pytest.mark.thorough
def test_a_server_that_is_killed_and_comes_back_is_not_noticed(root: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    wrong: list[Any] = []
    right: list[Any] = []
    stop = threading.Event()

    def ask(client: Client) -> None:
        while not stop.is_set():
            value = client.features("model", {"driver_id": [4]}).value("total")
            (right if value == 80 else wrong).append(value)

    with Client(f"http://127.0.0.1:{port}", timeout_seconds=60, retries=1_000) as client, ThreadPoolExecutor(2) as pool:
        with serving(root, "--port", str(port)) as first:
            asking = [pool.submit(ask, client) for _ in range(2)]
            _until(lambda: len(right) > 20)
            first.process.kill()
            first.process.wait(timeout=10)
        before = len(right)
        with serving(root, "--port", str(port)):
            _until(lambda: len(right) > before + 20)
            stop.set()
            for each in asking:
                each.result(timeout=60)
    assert wrong == []


def _until(holds: Any) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_server_that_says_nothing_is_given_up_in_time(connect: Connect) -> None:
    with wayward([stall()]) as server:
        client = connect(server.url, timeout_seconds=0.3, retries=5, typed=False)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"within 0.3 s"):
            client.features("model", {"driver_id": [1]})
        assert 0.25 < time.monotonic() - began < 1.5


def test_a_call_that_was_given_up_leaves_its_connection_to_the_next(connect: Connect) -> None:
    with wayward([stall(), answer(GONE), answer(GONE)]) as server:
        client = connect(server.url, timeout_seconds=0.3, retries=0, typed=False, most_connections=1)
        with pytest.raises(DeadlineExceeded):
            client.features("model", {"driver_id": [1]})
        assert [client.features("model", {"driver_id": [1]}).value("total") for _ in range(2)] == [7, 7]
        assert server.connections == 2


def test_an_answer_that_dribbles_in_is_given_up_in_time(connect: Connect) -> None:
    with wayward([dribble()]) as server:
        client = connect(server.url, timeout_seconds=0.4, typed=False)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match=r"complete|answer"):
            client.features("model", {"driver_id": [1]})
        assert 0.3 < time.monotonic() - began < 1.5


def test_a_busy_server_is_asked_again_when_it_says(connect: Connect) -> None:
    busy = {"error": {"type": "OverloadedError", "message": "there is too much to do."}}
    with wayward([answer(busy, 503, retry_after="1"), answer(GONE)]) as server:
        client = connect(server.url, timeout_seconds=10, typed=False)
        began = time.monotonic()
        assert client.features("model", {"driver_id": [1]}).value("total") == 7
        assert time.monotonic() - began >= 1
        assert server.paths == ["/get-online-features"] * 2
        assert server.bodies[0] == server.bodies[1]


def test_a_busy_server_that_needs_more_time_than_there_is_is_told_at_once(connect: Connect) -> None:
    busy = {"error": {"type": "OverloadedError", "message": "there is too much to do."}}
    with wayward([answer(busy, 503, retry_after="7")]) as server:
        began = time.monotonic()
        with pytest.raises(Overloaded, match="there is too much to do") as failed:
            connect(server.url, timeout_seconds=2, typed=False).features("model", {"driver_id": [1]})
        assert failed.value.retry_after_seconds == 7
        assert time.monotonic() - began < 1.5
        assert len(server.paths) == 1


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{"])
def test_a_connection_that_breaks_is_made_anew(connect: Connect, after: bytes) -> None:
    with wayward([answer(GONE), reset(after), answer(GONE)]) as server:
        client = connect(server.url, timeout_seconds=10, typed=False)
        assert [client.features("model", {"driver_id": [1]}).value("total") for _ in range(2)] == [7, 7]
        assert server.connections == 2, "the first was used twice"
        assert len(server.paths) == 3


def test_a_push_that_is_not_known_to_be_durable_is_sent_again(connect: Connect) -> None:
    with wayward([reset(), answer({"status": "up"})]) as server:
        client = connect(server.url, timeout_seconds=10)
        row = {"ping_id": "a", "ts": datetime(2026, 1, 5, tzinfo=UTC), "fee": Decimal("1.10"), "token": b"ab"}
        client.push("pings", [row], wait_seconds=1.5)
        assert server.bodies[0] == server.bodies[1]
        assert server.bodies[0] == (
            b'{"push_source_name":"pings","df":{"ping_id":["a"],"ts":["2026-01-05T00:00:00+00:00"],"fee":["1.10"],'
            b'"token":["YWI="]},"to":"online","wait_seconds":1.5}'
        )


@pytest.fixture(scope="module")
def streaming_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a project whose stream runs."""
    platform = streaming_project(tmp_path_factory.mktemp("pushed"), sinks="online")
    root = platform.context.root
    (root / "in").mkdir()
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(platform.stream, "gps", Pace(0.05), stop=ended.is_set)
        try:
            _until(platform.stream_status)
            with serving(root) as server:
                yield str(server.client.base_url)
        finally:
            ended.set()
        stream.result(timeout=60)


def pushed(number: int, driver: int) -> dict[str, Any]:
    at = datetime(2026, 1, 5, 8, tzinfo=UTC)
    return {
        "event_id": f"{driver}-{number}", "driver_id": driver, "zone": "z1", "ts": at, "speed": 1.5,
        "seen_at": at + timedelta(seconds=1),
    }  # fmt: skip


def test_what_was_pushed_can_be_read_once_it_says_so(connect: Connect, streaming_url: str) -> None:
    client = connect(streaming_url, timeout_seconds=30)
    driver = 7 if isinstance(client, Client) else 8
    rows = [pushed(1, driver), pushed(2, driver)]
    report = client.push("gps", [*rows, rows[0]], wait_seconds=20)
    assert (report["rows"], report["readable"]) == (3, True)
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert client.features("model", {"driver_id": [driver]}, at=at).value("n") == 2, "a copy counts once"
    client.push("gps", rows, wait_seconds=20)
    assert client.features("model", {"driver_id": [driver]}, at=at).value("n") == 2, "and so does what is sent again"


def test_rows_that_are_refused_are_told(connect: Connect, streaming_url: str) -> None:
    client = connect(streaming_url, timeout_seconds=30)
    with pytest.raises(InvalidRequest, match="driver_id") as failed:
        client.push("gps", [pushed(3, 9), {**pushed(4, 9), "driver_id": "nine"}])
    assert [each["row"] for each in failed.value.details["refused"]] == [2]
    with pytest.raises(NotFound, match="gsp") as missed:
        client.push("gsp", [pushed(3, 9)])
    assert missed.value.nearest == ("gps",)


def test_the_readme_does_what_it_says(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text().replace("http://127.0.0.1:6566", url)
    namespace: dict[str, Any] = {}
    blocks = re.findall(r"(<!-- not run: [^\n]+ -->\n)?^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for skipped, code in blocks:
        if not skipped:
            exec(compile(code, README, "exec"), namespace)
    printed = capsys.readouterr().out.split("\n")
    promised = re.findall(r"#> (.*)", text)
    assert len(promised) > 3
    assert printed == [*promised, ""]


def test_where_nothing_listens(connect: Connect) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{found.getsockname()[1]}"
    with pytest.raises(Unavailable, match=r"can't be reached \(tried 3 times\)"):
        connect(address, timeout_seconds=5).health()


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"error": {"type": "UnauthorizedError", "message": "who asks?"}}, Unauthorized, "who asks"),
        (403, {"error": {"type": "ForbiddenError", "message": "not for you"}}, Unauthorized, "not for you"),
        (404, {"detail": "Feature view nope does not exist"}, NotFound, "nope does not exist"),
        (413, {"error": {"type": "TooLargeError", "message": "too long"}}, InvalidRequest, "too long"),
        (429, {"error": {"type": "RateLimitedError", "message": "too often"}}, Overloaded, "too often"),
        (500, b"<html>broken</html>", ServerFailed, "broken"),
        (502, b"", Unavailable, "answered 502"),
        (200, b"<html>welcome</html>", ServerFailed, "no feature server"),
        (200, {"metadata": {"feature_names": ["total"]}, "results": [{"values": [1, 2]}]}, ServerFailed, "1 entities"),
    ],
)
def test_what_a_server_may_say(
    connect: Connect, status: int, body: object, kind: type[Exception], message: str
) -> None:
    with wayward([answer(body, status)]) as server:
        client = connect(server.url, timeout_seconds=5, retries=0, typed=False, api_key="s3cret")
        with pytest.raises(kind, match=message) as failed:
            client.features("model", {"driver_id": [1]})
        assert "s3cret" not in str(failed.value)


def test_the_secret_is_sent_and_not_shown(connect: Connect) -> None:
    client = Client("http://127.0.0.1:1", api_key="s3cret")
    assert "s3cret" not in f"{client!r} {client._address!r}"
    assert client._address.headers["Authorization"] == "Bearer s3cret"
    with pytest.raises(InvalidRequest, match="not both"):
        Client("http://127.0.0.1:1", api_key="a", token="b")
    with pytest.raises(InvalidRequest, match="http://127"):
        Client("127.0.0.1:6566")


def test_feasts_answers_are_read(connect: Connect) -> None:
    """Feast's server knows no services' types, and says neither versions nor the time."""
    nothing = answer({"detail": "Not Found"}, 404)
    with wayward([nothing, answer(GONE), answer(GONE)]) as server:
        client = connect(server.url, timeout_seconds=5)
        features = client.features("model", {"driver_id": [1]})
        assert features.rows() == [{"driver_id": 1, "total": 7}]
        assert features.versions == {}
        assert features.event_time("total") == datetime(2026, 1, 5, 12, tzinfo=UTC)
        client.features("model", {"driver_id": [1]})
        assert server.paths == ["/v1/services/model", "/get-online-features", "/get-online-features"]
