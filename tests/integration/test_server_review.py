"""The server's core under attack: clients that misbehave, stores that go away at the worst time, workers that hang."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import pyarrow as pa
import pytest
import redis

from headrace.online.base import Stamp
from headrace.online.records import with_layer
from headrace.online.redis_pipeline import RedisPipeline
from headrace.platform import Platform
from headrace.server import stale, supervising
from headrace.server.board import Board
from headrace.server.metrics import Metrics
from headrace.server.reading import THREADS, Threaded
from headrace.server.stale import StaleRecords
from headrace.timeline.packed import Field, Layout
from headrace.timeline.packed_record import STEPS
from headrace.timeline.packed_steps import Step
from headrace.types import Int64
from tests.integration.own_redis import OwnRedis
from tests.integration.serving import GLOBAL, Serving, project, publish, serving
from tests.integration.test_server import NEW_PINGS, drivers

ALONE = """
@hr.on_demand(inputs=[], request={"factor": hr.Int64}, outputs={"twice": hr.Int64})
def alone(factor):
    return {"twice": factor * 2}

only = hr.FeatureService("only", features=[alone])
"""
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}
PATH = "/get-online-features"
ONLY = {"feature_service": "only", "entities": {"factor": [3, 4]}}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = project(tmp_path_factory.mktemp("review") / "city", GLOBAL + ALONE)
    publish(platform, NEW_PINGS)
    return platform


@pytest.fixture(scope="module")
def server(city: Platform) -> Iterator[Serving]:
    with serving(city.context.root) as running:
        yield running


def connected(server: Serving) -> socket.socket:
    return socket.create_connection((server.client.base_url.host, server.client.base_url.port or 0), timeout=10)


def request(body: bytes, *headers: str) -> bytes:
    lines = ["POST /get-online-features HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def lines_of(server: Serving, start: str) -> list[str]:
    return [line for line in server.client.get("/metrics").text.splitlines() if line.startswith(start)]


# ---------------------------------------------------------------- what is asked


def test_on_demand_features_alone_need_no_store(city: Platform, server: Serving) -> None:
    assert server.answer(ONLY) == {"twice": [(6, "PRESENT"), (8, "PRESENT")]}
    assert city.online("only", [{"factor": 3}]).to_dicts() == [{"factor": 3, "alone__twice": 6}]


@pytest.mark.parametrize(
    "asked",
    [
        {"feature_service": "model", "entities": {"driver_id": []}},
        {"feature_service": "scaling", "entities": {"driver_id": [], "factor": []}},
        {"feature_service": "only", "entities": {"factor": []}},
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "application/msgpack", ARROW["content-type"]])
def test_no_entities_are_an_answer(server: Serving, asked: dict[str, Any], accept: str) -> None:
    assert server.client.post(PATH, json=asked, headers={"accept": accept}).status_code == 200


def polars_stream(frame: pl.DataFrame, **options: Any) -> bytes:
    out = io.BytesIO()
    frame.write_ipc_stream(out, **options)
    return out.getvalue()


def arrow_stream(column: pa.Array) -> bytes:
    out = io.BytesIO()
    table = pa.table({"driver_id": column})
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "compressed": lambda: polars_stream(pl.DataFrame({"driver_id": [0] * 1_000_000}), compression="zstd"),
    "dictionary": lambda: arrow_stream(
        pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int8()), pa.array(["x" * 100_000]))
    ),
    "lists of nothing": lambda: arrow_stream(
        pa.ListArray.from_arrays(pa.array([0, 2**30], pa.int32()), pa.nulls(2**30))
    ),
    "rows of nothing": lambda: arrow_stream(pa.nulls(2**31 - 1)),
    "a number of 128 bits": lambda: polars_stream(
        pl.DataFrame({"driver_id": pl.Series([2**100], dtype=pl.Int128)})
    ),
    "damaged": lambda: b"\xff\xff\xff\xff\x10\x00\x00\x00abc",
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_short_arrow_that_would_become_much_is_refused(server: Serving, kind: str) -> None:
    before = psutil.Process(server.process.pid).memory_info().rss
    answer = server.client.post(PATH, params={"feature_service": "model"}, content=BOMBS[kind](), headers=ARROW)
    assert answer.status_code in (400, 422)
    assert answer.elapsed.total_seconds() < 1
    assert psutil.Process(server.process.pid).memory_info().rss - before < 100 << 20


# ---------------------------------------------------------------- connections


def test_a_body_of_tiny_chunks_does_not_hold_up_others(server: Serving) -> None:
    head = "POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    long = b"7d0000\r\n" + b" " * 0x7D0000 + b"\r\n"
    with connected(server) as one:
        one.sendall(head.encode() + long)
        began = time.monotonic()
        one.sendall(b"1\r\n \r\n" * 5_000 + b"0\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 400")
        assert time.monotonic() - began < 2  # 7 s, where each chunk copies the body


def test_a_head_without_an_end_is_cut_off(server: Serving) -> None:
    fields = b"".join(b"x-%d: %b\r\n" % (number, b"a" * 1_000_000) for number in range(50))
    with connected(server) as one, pytest.raises(ConnectionError):
        one.sendall(b"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\n" + fields)


def test_a_long_body_is_refused_however_it_comes(server: Serving) -> None:
    with connected(server) as one:
        one.sendall(
            b"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
            b"Content-Length: 60000000\r\n\r\n"
        )
        assert one.recv(100).startswith(b"HTTP/1.1 100")
        try:
            one.sendall(b" " * 60_000_000)
        except ConnectionError:
            return
        assert one.recv(100).startswith(b"HTTP/1.1 413")


def test_answers_that_nobody_reads_do_not_pile_up(server: Serving) -> None:
    asked = request(str(drivers(*range(300))).replace("'", '"').encode()) * 20
    before = psutil.Process(server.process.pid).memory_info().rss
    with connected(server) as one:
        one.settimeout(0.5)
        with pytest.raises(TimeoutError):
            one.sendall(asked * 200)  # 100 MB of answers and more
        assert psutil.Process(server.process.pid).memory_info().rss - before < 60 << 20
        one.settimeout(10)
        n_bytes = 0
        while n_bytes < 10 << 20:  # and who reads at last gets them
            n_bytes += len(one.recv(1 << 20))
    assert lines_of(server, "headrace_inflight_requests") == ["headrace_inflight_requests 0.0"]


def test_requests_of_both_kinds_in_one_write_are_answered_in_order(server: Serving) -> None:
    features = request(str(drivers(7)).replace("'", '"').encode())
    other = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(server) as one:
        one.sendall(features + other + features + b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n" + features)
        found = b""
        while found.count(b"HTTP/1.1 ") < 5 or not found.endswith(b"}]}"):
            found += one.recv(1 << 16)
    assert [part[:3] for part in found.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"404", b"200"]


@pytest.mark.parametrize("at", [20, 150, 230, 10_000])
def test_an_offer_of_http_2_as_java_s_client_makes_it_loses_no_body(server: Serving, at: int) -> None:
    body = str(drivers(7)).replace("'", '"').encode()
    offer = request(body, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMA")
    with connected(server) as one:
        for part in (offer[:at], offer[at:] + request(body) + offer):
            one.sendall(part)
            time.sleep(0.02)
        found = b""
        while found.count(b"HTTP/1.1 200") < 3 or not found.endswith(b"}]}"):
            found += one.recv(1 << 16)
        one.sendall(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.thorough
def test_a_connection_is_not_closed_while_a_request_is_coming(server: Serving) -> None:
    asked = request(str(drivers(7)).replace("'", '"').encode())
    with connected(server) as one:
        one.sendall(asked)
        one.recv(1 << 16)
        time.sleep(4)
        one.sendall(asked[:40])
        time.sleep(2)  # five seconds after the last answer it would be closed
        one.sendall(asked[40:])
        assert one.recv(100).startswith(b"HTTP/1.1 200")


# ---------------------------------------------------------------- the store


@pytest.mark.redis
def test_every_request_is_answered_while_the_store_goes_and_the_process_stands_still(
    city: Platform, redis_server: str, tmp_path: Path
) -> None:
    file = city.context.root / "headrace.toml"
    before = file.read_text()
    file.write_text(before + '\n[serve.stale_if_error]\nmodel = "5m"\nplaces = "5m"\n')
    store = OwnRedis(redis_server, tmp_path)
    store.start()
    try:
        with serving(city.context.root, HEADRACE_ONLINE=store.url) as running:
            assert "has nothing of it" in running.told(drivers(7), 503)
            store.kill()  # what was read last is that there is nothing
            for _ in range(4):
                assert "redis://" in running.told(drivers(7), 503)
            assert lines_of(running, "headrace_inflight_requests") == ["headrace_inflight_requests 0.0"]
            store.start()
            fill(city, store)
            until_200(running)
            assert running.ask(ONLY).status_code == 200  # nothing is read for it
            assert standing_still(running) == {200}
            store.kill()
            for _ in range(4):
                running.ask(drivers(9_999))
            running.process.send_signal(signal.SIGHUP)  # the new definitions' reader knows no heads yet
            time.sleep(1)
            assert running.answer(drivers(7))["total"][0][1] == "STALE"
            store.start("--requirepass", "secret")  # it lets nobody in
            time.sleep(1.5)
            with redis.Redis(port=store.port, password="secret") as client:
                assert len(client.client_list()) <= 3  # and no connection is left behind at each try
            assert running.stop() == 0
    finally:
        store.kill()
        file.write_text(before)


def fill(city: Platform, store: OwnRedis) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_ONLINE", store.url)
        platform = Platform.open(city.context.root)
        for view in platform.definitions.views:
            platform.materialize(view, whole=True)
        platform.context.online.close()


def until_200(running: Serving) -> None:
    deadline = time.monotonic() + 5
    while running.ask(drivers(7)).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def standing_still(running: Serving) -> set[int]:
    """The statuses of requests while the server's process is stopped for longer than the store may take."""
    statuses: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=running.client.base_url, timeout=10) as client:
            statuses.extend(client.post(PATH, json=drivers(7)).status_code for _ in range(80))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(0.8)
    running.process.send_signal(signal.SIGCONT)
    for thread in threads:
        thread.join()
    return set(statuses)


def test_a_read_of_no_keys_is_no_command() -> None:
    asyncio.run(read_of_no_keys())


async def read_of_no_keys() -> None:
    found: list[Any] = []
    pipe = RedisPipeline("redis://127.0.0.1:1/0", b"", "redis://nowhere", 0.5)
    pipe.get_many([], lambda values, error: found.append((values, error)))
    assert found == [([], None)]
    await pipe.aclose()


class Asking:
    """A request whose reading fails in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.told: list[BaseException] = []
        self.what, self.reader = None, self

    def fetched(self, what: Any) -> Any:
        raise ZeroDivisionError

    def broken(self, error: BaseException) -> None:
        self.told.append(error)


def test_a_defect_in_a_thread_is_told(city: Platform) -> None:
    asyncio.run(defect_in_a_thread(city))


async def defect_in_a_thread(city: Platform) -> None:
    asking: Any = Asking()
    reads = Threaded(city.context.online, 5.0)
    reads.start(asking, [])
    deadline = time.monotonic() + 5
    while not asking.told and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert [type(error) for error in asking.told] == [ZeroDivisionError]
    await reads.aclose()


def test_a_store_that_answers_after_the_end_disturbs_nobody(city: Platform, caplog: pytest.LogCaptureFixture) -> None:
    go_on, threads = threading.Event(), threading.active_count()

    class Slow(Asking):
        def fetched(self, what: Any) -> Any:
            go_on.wait(5)

    async def ask() -> None:
        asking: Any = Slow()
        reads = Threaded(city.context.online, 5.0)
        for _ in range(THREADS + 3):  # some of them wait for a thread
            reads.start(asking, [])
        reads.probe(print)
        await reads.aclose()

    asyncio.run(ask())
    go_on.set()
    deadline = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert caplog.records == []


def test_kept_records_are_bounded_in_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale, "MOST_BYTES", 1_000)
    kept = StaleRecords(10)
    for number in range(100):
        kept.keep([b"%d" % number, b"head"], [b"x" * 100, b"h"], 0)
    assert kept.found([b"99", b"head"], 0) == [b"x" * 100, b"h"]
    assert sum(kept.found([b"%d" % number], 0) is not None for number in range(100)) == 9


def test_a_reader_of_an_old_head_does_not_take_what_another_thread_learned_of_a_newer_one() -> None:
    layout = Layout((Field("n", Int64),))
    reader, old, new = layout.reader(), Stamp(1, 1), Stamp(1, 2)
    record = with_layer(None, None, new, 0, STEPS, layout.codec.pack([Step(0, 0, (5,))], cut_off=False))

    class Records(list[bytes | None]):
        """What is read by the new head, while another thread begins to read by the old one."""

        def __iter__(self) -> Iterator[bytes | None]:
            reader.many([], old, 10)
            return super().__iter__()

    assert reader.many(Records([record]), new, 10).values == [(5,)]
    assert reader.many([record], old, 10).values == [(None,)]


# ---------------------------------------------------------------- workers


def test_counters_do_not_fall_from_worker_to_worker(tmp_path: Path) -> None:
    workers = [Metrics(dict, lambda: 0), Metrics(dict, lambda: 0)]
    for number, metrics in enumerate(workers):
        board = Board(tmp_path, number)
        metrics.tell, metrics.others = board.write, board.others
    workers[0].answered("/", 200, 0.0)
    workers[1].answered("/", 200, 0.0)
    for metrics, counted in ((workers[0], 1), (workers[1], 2), (workers[0], 2)):
        assert f'headrace_request_seconds_count{{route="/",service="",status="200"}} {counted}.0' in scraped(metrics)
    workers[0].answered("/", 200, 0.0)
    for metrics in workers:  # what the first one says, the other knows
        assert 'headrace_request_seconds_count{route="/",service="",status="200"} 3.0' in scraped(metrics)


def scraped(metrics: Metrics) -> list[str]:
    return metrics.text(metrics.told()).decode().splitlines()


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A project whose module waits for ever where a file says so."""
    root = tmp_path / "city"
    project(root, 'import pathlib, time\nwhile pathlib.Path(__file__).with_name("wait").exists(): time.sleep(0.05)\n')
    return root


def test_a_worker_that_hangs_at_its_start_is_told_and_ended(hanging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "_START_SECONDS", 1.0)
    (hanging / "wait").touch()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    began, others = time.monotonic(), psutil.Process().children()
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            supervisor = supervising.Supervisor(hanging, "127.0.0.1", listener, {})
            with pytest.raises(supervising.WorkerError, match="does not answer 1 s after its start"):
                supervisor.run(1, lambda: None)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert time.monotonic() - began < 6
    assert psutil.Process().children() == others


@pytest.mark.thorough
def test_a_hangup_while_a_worker_starts_ends_nobody(city: Platform) -> None:
    with serving(city.context.root, "--workers", "2") as running:
        time.sleep(2.5)
        parent = psutil.Process(running.process.pid)
        parent.children()[0].kill()
        for _ in range(15):  # all through the start of the new one
            running.process.send_signal(signal.SIGHUP)
            time.sleep(0.1)
        time.sleep(1.5)
        assert len(parent.children()) == 2
        assert Counter(running.ask(drivers(7)).status_code for _ in range(20)) == {200: 20}
        n_descriptors = parent.num_fds()
        assert n_descriptors < 40
        assert running.stop() == 0


def test_a_module_that_ends_the_process_ends_no_server(city: Platform) -> None:
    features = city.context.root / "features.py"
    before = features.read_text()
    with serving(city.context.root) as running:
        features.write_text("import sys\nsys.exit(3)\n")
        try:
            running.process.send_signal(signal.SIGHUP)
            time.sleep(0.7)
            assert running.ask(drivers(7)).status_code == 200
        finally:
            features.write_text(before)


def test_a_pinned_version_is_told_beside_the_newest_one(tmp_path: Path) -> None:
    more = (
        '\nboth = hr.FeatureService("both", features=[driver_now["rows"], (driver_now[["total"]] @ 1).alias("old")])\n'
    )
    platform = project(tmp_path / "city", more)
    publish(platform, NEW_PINGS[:1])
    publish(platform, NEW_PINGS[1:])
    with serving(platform.context.root) as running:
        body = running.ask({"feature_service": "both", "entities": {"driver_id": [7]}}).json()
    versions = {view: told["version"] for view, told in body["metadata"]["views"].items()}
    assert versions == {"driver_now": 2, "driver_now@1": platform.versions("driver_now").publications[-1].number}
