"""The page of streams: what it answers, and to whom."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

from headrace.errors import SettingsError
from headrace.platform.context import Context
from headrace.platform.stream_status import status_folder
from headrace.server.page_running import page_beside, run_page
from headrace.types import SECOND
from tests.stream_statuses import NOW, partition, project, say, status


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return project(tmp_path)


@pytest.fixture
def client(context: Context) -> Iterator[httpx.Client]:
    with page_beside(context, "127.0.0.1", 0) as url, httpx.Client(base_url=url) as asking:
        yield asking


def sampled(client: httpx.Client) -> httpx.Response:
    """Ask until a sample has a stream."""
    until = time.monotonic() + 20
    while not (answer := client.get("/status.json?after=0")).json()["streams"] and time.monotonic() < until:
        time.sleep(0.05)
    return answer


def test_each_worker_is_told_of(context: Context, client: httpx.Client) -> None:
    say(context, status(condition="failed", why="topic 'gps' is gone"))
    answer = sampled(client)
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert (found["project"], found["now_seconds"]) == ("city", NOW / SECOND)
    assert [(each["source"], each["why"], each["lag_offsets"]) for each in found["streams"]] == [
        ("gps", "topic 'gps' is gone", 2_540)
    ]


def test_where_no_stream_ran_there_is_nothing(client: httpx.Client) -> None:
    assert client.get("/status.json").json() == {"project": "city", "now_seconds": NOW / SECOND, "streams": []}
    assert client.get("/history.json").json() == {"now_seconds": NOW / SECOND, "sources": {}}


def test_samples_are_taken_while_it_is_up(context: Context, client: httpx.Client) -> None:
    say(context, status(condition="stopped"))
    until = time.monotonic() + 20
    while not (found := client.get("/history.json").json()["sources"]) and time.monotonic() < until:
        time.sleep(0.05)
    assert found["gps"]["events_per_second"][0] == 0
    assert client.get("/history.json", params={"after": NOW / SECOND}).json()["sources"]["gps"]["at_seconds"] == []
    assert client.get("/history.json?after=x").status_code == 422
    assert client.get("/status.json?after=x").json()["error"]["message"].startswith("after= is a number")
    assert client.get("/history.json?after=1.5").json()["sources"]["gps"]["at_seconds"] != []


def test_cards_and_curves_are_of_the_same_moment(tmp_path: Path) -> None:
    times = iter(range(NOW, NOW + 1_000 * SECOND, SECOND))
    context = project(tmp_path, lambda: next(times))
    with page_beside(context, "127.0.0.1", 0) as url, httpx.Client(base_url=url) as client:
        for number in range(40):
            say(context, status(partitions=(partition("0", number, 1.0),)))
            found = client.get("/status.json?after=0").json()
            if found["streams"]:
                (cards,), curves = found["streams"], found["history"]["gps"]
                assert found["now_seconds"] == curves["at_seconds"][-1]
                assert cards["lag_offsets"] == curves["lag_offsets"][-1]
            time.sleep(0.05)
        assert len(curves["at_seconds"]) > 1


def test_prometheus_is_answered(context: Context, client: httpx.Client) -> None:
    say(context, status(condition="stopped"))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'headrace_stream_lag_offsets{partition="1",source="gps",worker="0"} 2500.0' in answer.text


def test_a_status_that_can_not_be_read_is_told(context: Context, client: httpx.Client) -> None:
    folder = status_folder(context, "gps")
    folder.mkdir(parents=True)
    (folder / "status-0.json").write_text("{")
    until = time.monotonic() + 20
    while (answer := client.get("/status.json")).status_code == 200 and time.monotonic() < until:
        time.sleep(0.05)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "StreamError")
    assert "source 'gps': what its stream says of itself" in answer.json()["error"]["message"]
    assert "headrace_stream_status_readable 0.0" in client.get("/metrics").text


def test_another_sites_name_that_leads_here_is_refused(client: httpx.Client) -> None:
    assert client.get("/status.json", headers={"Host": "evil.example"}).status_code == 400
    for host in ("localhost:8080", "127.0.0.1:1", "[::1]:8080"):
        assert client.get("/status.json", headers={"Host": host}).status_code == 200, host


class _Linked(HTMLParser):
    """The addresses that a page loads or leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]


def test_the_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    linked = _Linked()
    linked.feed(answer.text)
    assert [link for link in linked.found if not link.startswith("data:")] == [
        "status.json", "status.json", "history.json", "metrics"
    ]  # fmt: skip
    known = {"http://www.w3.org/2000/svg"}
    assert {found.strip("'") for found in re.findall(r"https?://[\w./'-]+", answer.text)} == known
    assert files("headrace.server").joinpath("static", "stream.html").is_file()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_it_is_not_served_where_others_reach_it(context: Context, host: str) -> None:
    with pytest.raises(
        SettingsError, match=r"has no authentication. Serve it at 127.0.0.1.*ssh -L 8080:127.0.0.1:8080"
    ):
        run_page(context, host, 8080, threading.Event())


def test_it_runs_beside_a_stream(context: Context) -> None:
    say(context, status(condition="stopped"))
    with page_beside(context, "127.0.0.1", 0) as url:
        with httpx.Client(base_url=url) as client:
            assert sampled(client).json()["streams"][0]["source"] == "gps"
        port = int(url.rpartition(":")[2])
        with pytest.raises(SettingsError, match=f"can't be served at 127.0.0.1, port {port}: .*Take another port"):
            run_page(context, "127.0.0.1", port, threading.Event())
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/status.json")


def test_it_runs_until_it_is_stopped(context: Context) -> None:
    stop, urls = threading.Event(), []

    def announced(url: str) -> None:
        urls.append(url)
        stop.set()

    run_page(context, "localhost", 0, stop, announce=announced)
    assert urls[0].startswith("http://127.0.0.1:")
