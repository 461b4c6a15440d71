"""The page of streams, as a browser shows it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from headrace.platform.context import Context
from headrace.platform.stream_status import status_folder
from headrace.server.page_running import page_beside
from headrace.streaming.status import ViewStatus
from headrace.types import SECOND
from tests.stream_statuses import partition, project, say, status

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1280,1700",
    "--virtual-time-budget=3000",
)  # fmt: skip
Browse = Callable[..., "Drawn"]


def now_us() -> int:
    return time.time_ns() // 1_000


class Drawn(HTMLParser):
    """What a browser made of a page."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.dom = dom
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        """What can be read on it."""
        return " ".join(word for word in self.words if word)

    def having(self, attribute: str) -> dict[str, dict[str, str]]:
        """The attributes of elements that have one, by its value."""
        return {found[attribute]: found for _, found in self.elements if attribute in found}


@pytest.fixture(scope="session")
def chromium() -> str:
    program = os.environ.get("HEADRACE_TEST_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs the browser chromium: install it, or set HEADRACE_TEST_CHROMIUM")
    return program


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return project(tmp_path / "city", now_us)


@pytest.fixture
def browse(chromium: str, context: Context, tmp_path: Path) -> Iterator[Browse]:
    """Show the page once it has taken some samples."""
    with page_beside(context, "127.0.0.1", 0) as url:

        def show(samples: int = 3, *more: str, source: str = "gps") -> Drawn:
            begun, until = time.time(), time.monotonic() + 30
            while is_older(url, begun) and time.monotonic() < until:
                time.sleep(0.1)
            while samples and time.monotonic() < until:
                found = httpx.get(f"{url}/history.json").json()["sources"].get(source, {})
                if len(found.get("at_seconds", [])) >= samples:
                    break
                time.sleep(0.1)
            folder = tmp_path / f"browser-{now_us()}"
            command = [chromium, *FLAGS, f"--user-data-dir={folder}", *more, f"{url}/"]
            run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
            return Drawn(run.stdout)

        yield show


def is_older(url: str, seconds: float) -> bool:
    """Whether the page still shows a sample that was taken before a time; what can't be read is shown at once."""
    response = httpx.get(f"{url}/status.json")
    return response.status_code == 200 and response.json()["now_seconds"] < seconds


def points(drawn: Drawn, curve: str) -> list[tuple[float, float]]:
    """Where a curve was drawn."""
    path = drawn.having("data-curve")[curve]["d"]
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_running_stream_is_drawn(context: Context, browse: Browse) -> None:
    say(context, status(now=now_us()))
    drawn = browse(3, "--dump-dom")
    for said in (
        "headrace", "city", "gps", "running", "live", "kafka://127.0.0.1:9092/gps", "epoch 12,345",
        "51,234 events/s", "184,000 read in all", "2,540 offsets", "1.5 s behind the log", "640 ms p50 210 ms",
        "412 MB", "50,000 entities, saved at epoch 12,320", "Last epoch: 240 ms", "compute 88 ms",
        "copies left out 830 0.45 %", "driver_now 50,000 31,000 44,000 400 MB 3 publication 7",
        "online every epoch", "delta all but the last epoch",
    ):  # fmt: skip
        assert said in drawn.text, said
    assert "<title>gps: running – headrace</title>" in drawn.dom
    for curve in ("events/s", "p50", "p99", "still to be read", "behind the log"):
        found = points(drawn, curve)
        assert len(found) >= 3, curve
        assert len({y for _, y in found}) == 1, f"{curve}: a value that does not change is a level line"
        assert [x for x, _ in found] == sorted(x for x, _ in found)
    assert points(drawn, "p99")[0][1] < points(drawn, "p50")[0][1], "more is drawn higher"


def test_lag_is_drawn_by_partition(context: Context, browse: Browse) -> None:
    parts = [partition(str(place), 100 * place, place / 10) for place in range(11)]
    say(context, status(now=now_us(), partitions=(*reversed(parts), partition("11", 0, 0, is_idle=True))))
    drawn = browse(1, "--dump-dom")
    bars = drawn.having("data-partition")
    assert list(bars) == [str(place) for place in range(12)], "in their order as numbers"
    widths = [float(bar["width"]) for bar in bars.values()]
    assert widths[0] == widths[11] == 0
    assert widths[5] == pytest.approx(widths[10] / 2, abs=0.1)
    assert "10 : offset 1,000 of 2,000".replace(" :", ":") in drawn.text
    assert drawn.text.count(" idle ") == 1
    stages = drawn.having("data-stage")
    assert list(stages) == ["read", "decode", "compute", "write", "commit", "other"]
    assert float(stages["compute"]["width"]) > float(stages["read"]["width"])


def test_a_failure_is_shown_with_its_reason_as_text(context: Context, browse: Browse) -> None:
    say(context, status(condition="failed", why="topic 'gps', partition 2, offset 77: <b>what</b> & why"))
    drawn = browse(1, "--dump-dom")
    assert "The stream failed topic 'gps', partition 2, offset 77: <b>what</b> & why" in drawn.text
    assert "gps failed" in drawn.text
    assert "0 events/s" in drawn.text
    assert points(drawn, "still to be read") == []
    assert "is-failed" in drawn.having("class")["trouble is-failed"]["class"]


def test_workers_and_streams_are_told_apart(context: Context, browse: Browse) -> None:
    say(context, status("gps", 0, 2, now=now_us()))
    say(context, status("gps", 1, 2, now=now_us(), condition="failed", why="it ran out of memory", views=()))
    view = ViewStatus("city_orders", "f" * 8, 1)
    say(context, status("orders", now=now_us(), condition="catching up", views=(view,), cut=0))
    drawn = browse(1, "--dump-dom")
    assert "gps failed orders catching up" in drawn.text
    assert "1 of 2 workers run" in drawn.text
    assert "Worker 2 of 2 failed it ran out of memory" in drawn.text
    assert "51,234 events/s" in drawn.text, "of the one that runs"
    assert "1 of 2 running" in drawn.text
    assert "2 of 2 failed" in drawn.text
    assert "city_orders" not in drawn.text


def test_where_no_stream_ran_it_says_how_to_start_one(browse: Browse) -> None:
    drawn = browse(0, "--dump-dom")
    assert "No stream has run yet Start one with headrace stream" in drawn.text
    assert "No stream – headrace" in drawn.dom


def test_what_can_not_be_read_is_shown(context: Context, browse: Browse) -> None:
    folder = status_folder(context, "gps")
    folder.mkdir(parents=True)
    (folder / "status-0.json").write_text("{")
    drawn = browse(0, "--dump-dom")
    assert "The streams' status can't be read source 'gps': what its stream says of itself in" in drawn.text
    assert "no answer" in drawn.text


@pytest.mark.parametrize("lag_seconds", [5_432.0, 900_000.0])
def test_the_marks_of_an_axis_have_room(context: Context, browse: Browse, lag_seconds: float) -> None:
    say(context, status(now=now_us(), partitions=(partition("0", 40, lag_seconds),)))
    drawn = browse(1, "--dump-dom")
    marks = [found for _, found in drawn.elements if "data-mark" in found]
    assert len(marks) >= 12
    for mark in marks:
        assert float(mark["x"]) > 5 * len(mark["data-mark"]), mark
    level = {y for _, y in points(drawn, "behind the log")}
    assert len(level) == 1
    assert 10 <= level.pop() <= 120, "between the top and the middle"


def test_a_worker_of_another_machine_is_shown(context: Context, browse: Browse) -> None:
    say(context, status(now=now_us(), pid=2**22 - 1, process="harbour:4194303:77@elsewhere"))
    drawn = browse(1, "--dump-dom")
    assert "gps running" in drawn.text
    assert "51,234 events/s" in drawn.text


def test_a_silent_worker_is_shown(context: Context, browse: Browse) -> None:
    say(context, status(now=now_us(), at=now_us() - 90 * SECOND))
    drawn = browse(1, "--dump-dom")
    assert re.search(
        r"The stream is silent Its process \d+ on \S+ has not committed an epoch for 1 min 3\d s", drawn.text
    )
    assert "0 events/s" in drawn.text


def test_it_can_be_pictured_in_the_dark(context: Context, browse: Browse, tmp_path: Path) -> None:
    say(context, status(now=now_us()))
    sizes = []
    for scheme in (0, 1):
        picture = tmp_path / f"{scheme}.png"
        browse(1, f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={scheme}")
        content = picture.read_bytes()
        assert content.startswith(b"\x89PNG")
        sizes.append(len(content))
    assert min(sizes) > 30_000, "an empty page takes less"
