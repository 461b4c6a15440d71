"""The server when it is told to stop, and when the store goes away beneath it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from headrace.definitions.fingerprint import view_fingerprint
from headrace.online.base import HEADER_BYTES
from headrace.online.record_keys import record_key
from headrace.platform import Platform
from headrace.types import Int64
from tests.integration.serving import Serving, ping, project, publish, serving
from tests.integration.test_server import drivers


@pytest.fixture
def city(tmp_path: Path) -> Platform:
    platform = project(tmp_path / "city")
    publish(platform, [ping(7, 5, 60)])
    return platform


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_in_good_order(city: Platform, number: int) -> None:
    with serving(city.context.root) as running:
        running.answer(drivers(7))  # its connection stays open
        began = time.monotonic()
        assert running.stop(number) == 0
        assert time.monotonic() - began < 2


def test_a_request_under_way_is_answered_before_it_ends(city: Platform) -> None:
    body = json.dumps(drivers(7)).encode()
    head = (
        f"POST /get-online-features HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\n\r\n"
    )  # fmt: skip
    with serving(city.context.root) as running, connected(running) as under_way:
        under_way.sendall(head.encode())
        assert under_way.recv(1_000).startswith(b"HTTP/1.1 100")
        running.process.send_signal(signal.SIGTERM)
        wait_until_closed(running)
        began = time.monotonic()
        under_way.sendall(body)
        answer = received(under_way)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"feature_names"' in answer
        assert running.process.wait(timeout=10) == 0
        assert time.monotonic() - began < 2


def connected(running: Serving) -> socket.socket:
    url = running.client.base_url
    return socket.create_connection((url.host, url.port or 0), timeout=10)


def wait_until_closed(running: Serving) -> None:
    deadline = time.monotonic() + 10
    while True:
        assert time.monotonic() < deadline
        try:
            connected(running).close()
        except ConnectionError:
            return


def received(connection: socket.socket) -> bytes:
    """All that comes before the other side closes."""
    found = b""
    while part := connection.recv(65_536):
        found += part
    return found


def test_a_store_that_is_removed_is_503_until_it_is_filled_again(city: Platform) -> None:
    with serving(city.context.root) as running:
        running.answer(drivers(7))
        city.context.online.close()
        shutil.rmtree(city.context.root / "online")
        response = asked_until(running, 503)
        assert response
        assert running.client.get("/health").status_code == 200
        assert running.client.get("/ready").status_code == 503

        again = Platform.open(city.context.root)
        for view in again.definitions.views:
            again.materialize(view)
        again.context.online.close()
        asked_until(running, 200)
        assert running.answer(drivers(7))["total"] == [(5, "PRESENT")]
        assert running.client.get("/ready").status_code == 200


def asked_until(running: Serving, status: int) -> str:
    """The message, or the text, of the first answer with a status; readers notice a new folder within a second."""
    deadline = time.monotonic() + 10
    while True:
        response = running.ask(drivers(7))
        assert response.status_code in (200, 503), response.text
        if response.status_code == status:
            return response.text
        assert time.monotonic() < deadline


def test_a_damaged_record_is_503_and_harms_no_other(city: Platform) -> None:
    publish(city, [ping(8, 2, 50)])
    view, store = city.definitions.views["driver_now"], city.context.online
    key = record_key(view_fingerprint(view), (7,), (Int64,))
    assert key is not None
    (record,) = store.get_many([key])
    assert record is not None
    store.put_many([(key, record[:HEADER_BYTES] + b"\x01damaged")])
    with serving(city.context.root) as running:
        assert "headrace materialize driver_now" in running.told(drivers(7), 503)
        assert running.answer(drivers(8))["total"] == [(2, "PRESENT")]
        city.materialize("driver_now", whole=True)
        assert running.answer(drivers(7))["total"] == [(5, "PRESENT")]


def test_a_store_that_is_down_is_503_with_when_to_ask_again(city: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with serving(city.context.root, HEADRACE_ONLINE=f"redis://127.0.0.1:{port}/0") as running:
        response = running.ask(drivers(7))
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["error"]["type"] == "OnlineStoreError"
        assert running.client.get("/health").status_code == 200
        assert running.client.get("/ready").status_code == 503
        assert "headrace_online_store_up 0.0" in running.client.get("/metrics").text


def test_a_port_that_is_taken_is_told(city: Platform) -> None:
    from typer.testing import CliRunner

    from headrace.cli.main import app

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port, "--project", str(city.context.root)])
    assert result.exit_code == 1
    assert f"can't listen at 127.0.0.1, port {port}" in " ".join(result.stderr.split())
