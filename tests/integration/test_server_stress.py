"""The server when the store goes away, when too much is asked, when workers die and definitions change."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec
import polars as pl
import psutil
import pytest

from headrace.platform import Platform
from headrace.types import instant
from tests.integration.own_redis import OwnRedis
from tests.integration.serving import Serving, project, publish, serving
from tests.integration.test_server import NEW_PINGS, drivers

ARROW = "application/vnd.apache.arrow.stream"
MSGPACK = "application/msgpack"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = project(tmp_path_factory.mktemp("stress") / "city")
    publish(platform, NEW_PINGS)
    return platform


@pytest.fixture(scope="module")
def server(city: Platform) -> Iterator[Serving]:
    with serving(city.context.root) as running:
        yield running


@pytest.fixture
def redis_of_city(city: Platform, redis_server: str, tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(redis_server, tmp_path)
    server.start("--appendonly", "yes")
    fill(city, server)
    yield server
    server.go_on()
    server.kill()


def fill(city: Platform, server: OwnRedis) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_ONLINE", server.url)
        platform = Platform.open(city.context.root)
        for view in platform.definitions.views:
            platform.materialize(view, whole=True)
        platform.context.online.close()


def metric(running: Serving, name: str) -> float:
    lines = running.client.get("/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


# ---------------------------------------------------------------- formats


def test_messagepack_says_what_json_says(server: Serving) -> None:
    request = drivers(7, 8, 404, at="2100-01-01T00:00:00Z")
    plain = server.ask(request).json()
    response = server.client.post(
        "/get-online-features", content=msgspec.msgpack.encode(request), headers={"content-type": MSGPACK}
    )
    assert response.headers["content-type"] == MSGPACK
    body = msgspec.msgpack.decode(response.content)
    assert body["metadata"]["feature_names"] == plain["metadata"]["feature_names"]
    for packed, column in zip(body["results"], plain["results"], strict=True):
        assert packed["statuses"] == column["statuses"]
        times = zip(packed["event_timestamps"], column["event_timestamps"], strict=True)
        assert all(instant(one) == instant(other) for one, other in times)


def test_arrow_in_and_out(server: Serving) -> None:
    frame = pl.DataFrame({"driver_id": [7, 8, 404]})
    out = frame.write_ipc_stream(None).getvalue()
    response = server.client.post(
        "/get-online-features", params={"feature_service": "model"}, content=out, headers={"content-type": ARROW}
    )
    assert response.status_code == 200, response.text
    found = pl.read_ipc_stream(response.content)
    plain = server.answer(drivers(7, 8, 404))
    assert found["driver_id"].to_list() == [7, 8, 404]
    for name in ("rows", "total", "n"):
        assert [*zip(found[name], found[f"{name}__status"], strict=True)] == plain[name]
    assert found.schema["seen"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"accept": "text/html"}, 406), ({"content-type": ARROW}, 400), ({"content-type": MSGPACK}, 400)],
)
def test_what_is_not_understood_is_told(server: Serving, headers: dict[str, str], status: int) -> None:
    response = server.client.post("/get-online-features", content=b"\xc1{", headers=headers)
    assert (response.status_code, set(response.json())) == (status, {"error"})


# ---------------------------------------------------------------- a store that goes away


@pytest.mark.redis
def test_a_dead_store_is_told_at_once_and_back_within_two_seconds(city: Platform, redis_of_city: OwnRedis) -> None:
    with serving(city.context.root, HEADRACE_ONLINE=redis_of_city.url) as running:
        expected = running.answer(drivers(7, 8))
        redis_of_city.kill()
        for _ in range(6):
            began = time.monotonic()
            assert "redis://" in running.told(drivers(7), 503)
            assert time.monotonic() - began < 1.5
        assert metric(running, "headrace_breaker_open") == 1
        assert running.client.post("/get-online-features", json=drivers(7)).headers["retry-after"] == "1"
        redis_of_city.start("--appendonly", "yes")
        back = time.monotonic()
        while running.ask(drivers(7)).status_code == 503:
            assert time.monotonic() - back < 2
            time.sleep(0.02)
        assert running.answer(drivers(7, 8)) == expected
        assert metric(running, "headrace_breaker_open") == 0


@pytest.mark.redis
def test_a_store_that_hangs_costs_a_bounded_wait_and_then_none(city: Platform, redis_of_city: OwnRedis) -> None:
    with serving(city.context.root, HEADRACE_ONLINE=redis_of_city.url) as running:
        running.answer(drivers(7))
        redis_of_city.pause()
        waits = []
        for _ in range(8):
            began = time.monotonic()
            assert running.ask(drivers(7)).status_code == 503
            waits.append(time.monotonic() - began)
        assert max(waits) < 2
        assert waits[-1] < 0.2
        redis_of_city.go_on()
        back = time.monotonic()
        while running.ask(drivers(7)).status_code == 503:
            assert time.monotonic() - back < 2
            time.sleep(0.02)


@pytest.mark.redis
def test_a_service_that_may_be_stale_answers_from_what_it_read(city: Platform, redis_of_city: OwnRedis) -> None:
    file = city.context.root / "headrace.toml"
    before = file.read_text()
    file.write_text(before + '\n[serve.stale_if_error]\nmodel = "5m"\n')
    try:
        with serving(city.context.root, HEADRACE_ONLINE=redis_of_city.url) as running:
            fresh = running.answer(drivers(7, 8))
            redis_of_city.kill()
            for _ in range(5):
                old = running.answer(drivers(7, 8))
                assert {name: [v for v, _ in column] for name, column in old.items()} == {
                    name: [v for v, _ in column] for name, column in fresh.items()
                }
                assert old["rows"] == [(value, "STALE") for value, _ in fresh["rows"]]
            assert running.ask(drivers(9)).status_code == 503  # it was never read
            unnamed = {"features": ["driver_now:rows"], "entities": {"driver_id": [7]}}
            assert running.ask(unnamed).status_code == 503  # that is no service which may be stale
    finally:
        file.write_text(before)


@pytest.mark.redis
def test_more_than_may_wait_is_refused_at_once(city: Platform, redis_of_city: OwnRedis) -> None:
    file = city.context.root / "headrace.toml"
    before = file.read_text()
    file.write_text(before + "\n[serve]\nmost_waiting = 3\nstore_seconds = 5.0\n")
    try:
        with serving(city.context.root, HEADRACE_ONLINE=redis_of_city.url) as running:
            running.answer(drivers(7))
            redis_of_city.pause()
            statuses: list[int] = []

            def ask() -> None:
                statuses.append(running.ask(drivers(7)).status_code)

            threads = [threading.Thread(target=ask) for _ in range(10)]
            for thread in threads:
                thread.start()
            time.sleep(1.5)
            assert statuses.count(503) >= 6
            redis_of_city.go_on()
            for thread in threads:
                thread.join()
            assert statuses.count(200) == 3
            assert metric(running, "headrace_shed_total") == 7
    finally:
        file.write_text(before)


# ---------------------------------------------------------------- workers, and definitions that change


class Asking:
    """Somebody who asks all the time."""

    def __init__(self, running: Serving, request: Any) -> None:
        self.answered, self.errors = 0, list[str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(running.client.base_url, request))

    def _ask(self, url: httpx.URL, request: Any) -> None:
        with httpx.Client(base_url=url, timeout=10) as client:
            while not self._ended.is_set():
                try:
                    response = client.post("/get-online-features", json=request)
                except httpx.TransportError as error:
                    self.errors.append(repr(error))
                else:
                    self.answered += 1
                    if response.status_code != 200:
                        self.errors.append(response.text)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def test_a_worker_that_dies_is_started_again_and_counts_go_on(city: Platform) -> None:
    with serving(city.context.root, "--workers", "2") as running:
        with Asking(running, drivers(7)) as one, Asking(running, drivers(8)) as other:
            time.sleep(1.2)
            first, second = psutil.Process(running.process.pid).children()
            first.kill()
            time.sleep(2.5)
            workers = psutil.Process(running.process.pid).children()
            assert len(workers) == 2
            assert second in workers
        assert len(one.errors) + len(other.errors) <= 2  # the connections that ended with it
        time.sleep(1.2)  # counts are told once a second
        counted = metric(running, "headrace_request_seconds_count")
        assert counted >= (one.answered + other.answered) * 0.5
        assert running.stop() == 0


def test_workers_end_with_the_process_that_started_them(city: Platform) -> None:
    with serving(city.context.root, "--workers", "2") as running:
        workers = psutil.Process(running.process.pid).children()
        running.process.kill()
        _, alive = psutil.wait_procs(workers, timeout=5)
        assert not alive


@pytest.mark.parametrize("workers", ["1", "2"])
def test_definitions_are_loaded_again_without_a_dropped_request(tmp_path: Path, workers: str) -> None:
    platform = project(tmp_path / "city")
    publish(platform, NEW_PINGS)
    features = platform.context.root / "features.py"
    extra = {"feature_service": "extra", "entities": {"driver_id": [7]}}
    with serving(platform.context.root, "--workers", workers) as running, Asking(running, drivers(7)) as asking:
        assert running.ask(extra).status_code == 404
        features.write_text(
            features.read_text() + '\nextra = hr.FeatureService("extra", features=[driver_now["rows"]])\n'
        )
        running.process.send_signal(signal.SIGHUP)
        asked_until(running, extra, 200)
        text = features.read_text()
        features.write_text(text + "\nthis is no Python\n")
        running.process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert running.ask(extra).status_code == 200
        features.write_text(text)
    assert asking.answered > 10
    assert asking.errors == []


def test_files_that_change_are_seen_where_that_is_wanted(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    publish(platform, NEW_PINGS)
    features = platform.context.root / "features.py"
    with serving(platform.context.root, "--watch") as running:
        features.write_text(
            features.read_text() + '\nextra = hr.FeatureService("extra", features=[driver_now["rows"]])\n'
        )
        asked_until(running, {"feature_service": "extra", "entities": {"driver_id": [7]}}, 200)


def asked_until(running: Serving, request: Any, status: int) -> None:
    deadline = time.monotonic() + 10
    in_a_row = 0
    while in_a_row < 5:  # each worker has it
        assert time.monotonic() < deadline
        in_a_row = in_a_row + 1 if running.ask(request).status_code == status else 0
        time.sleep(0.05)
