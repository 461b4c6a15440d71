"""How running streams are told of."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import DefinitionError, StreamError, UnknownNameError
from headrace.platform.processes import is_running, this_process
from headrace.platform.stream_status import GONE, status_folder, stream_status
from headrace.streaming.status import read_status
from headrace.types import SECOND
from tests.stream_statuses import NOW, project, say, status

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system doesn't tell of other processes")


def now_us() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def ended_pid() -> Iterator[int]:
    """A process that has ended, and that nobody has waited for."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid


def test_what_is_written_is_read(tmp_path: Path) -> None:
    context = project(tmp_path)
    one = say(context, status("gps", 0, 2, now=now_us()))
    two = say(context, status("gps", 1, 2, now=now_us(), condition="failed", why="the topic is gone", cut=0))
    assert stream_status(context) == [one, two]
    assert read_status(status_folder(context, "gps")) == [one, two]
    assert (one.lag_offsets, one.lag_seconds) == (2_540, 1.5)
    assert one.plain()["lag_offsets"] == 2_540
    assert one.plain()["partitions"][2]["is_idle"]


def test_streams_are_told_by_source(tmp_path: Path) -> None:
    context = project(tmp_path)
    assert stream_status(context) == []
    say(context, status("orders", now=now_us()))
    say(context, status("gps", now=now_us()))
    assert [each.source for each in stream_status(context)] == ["gps", "orders"]
    assert [each.source for each in stream_status(context, "orders")] == ["orders"]


def test_sources_without_a_stream(tmp_path: Path) -> None:
    context = project(tmp_path)
    with pytest.raises(DefinitionError, match=r"source 'files' has no stream. Give it one"):
        stream_status(context, "files")
    with pytest.raises(UnknownNameError, match=r"there is no source 'gsp'. Did you mean 'gps'"):
        stream_status(context, "gsp")


@LINUX
def test_a_worker_whose_process_ended_is_gone_unless_it_said_why(tmp_path: Path, ended_pid: int) -> None:
    context = project(tmp_path)
    for worker, condition in enumerate(("running", "catching up", "stopped", "failed")):
        say(context, status("gps", worker, 4, pid=ended_pid, condition=condition))
    found = stream_status(context)
    assert [each.condition for each in found] == [GONE, GONE, "stopped", "failed"]
    assert f"its process {ended_pid} ended without a word" in found[0].why


@LINUX
def test_a_number_that_another_process_has_got_since(tmp_path: Path) -> None:
    assert is_running(os.getpid(), now_us())
    assert not is_running(os.getpid(), now_us() - 365 * 86_400 * SECOND)
    context = project(tmp_path)
    say(context, status(started_at=NOW - 3_650 * 86_400 * SECOND, process=""))
    assert stream_status(context)[0].condition == GONE


@pytest.mark.parametrize("process", ["harbour:{pid}:77@{system}", "{host}:{pid}:77@another-container"])
@pytest.mark.parametrize(("silent_seconds", "condition"), [(100, "running"), (130, GONE)])
def test_a_worker_elsewhere_is_judged_by_what_it_said_last(
    tmp_path: Path, ended_pid: int, process: str, silent_seconds: int, condition: str
) -> None:
    context = project(tmp_path)
    host, _, start = this_process().split(":")
    process = process.format(pid=ended_pid, host=host, system=start.partition("@")[2])
    say(context, status(pid=ended_pid, process=process, at=NOW - silent_seconds * SECOND))
    (found,) = stream_status(context)
    assert found.condition == condition
    if condition == GONE:
        where = process.partition(":")[0]
        assert f"its process {ended_pid} on {where} says nothing any more: it ended, or that machine" in found.why


@LINUX
def test_a_worker_here_is_judged_by_its_process(tmp_path: Path) -> None:
    context = project(tmp_path)
    say(context, status(at=NOW - 3_600 * SECOND))
    assert stream_status(context)[0].condition == "running"
    host, pid, start = this_process().split(":")
    say(context, status(process=f"{host}:{pid}:1@{start.partition('@')[2]}"))
    (found,) = stream_status(context)
    assert (found.condition, found.why.partition(":")[0]) == (GONE, f"its process {pid} on {host} ended without a word")


def test_workers_of_an_earlier_run_are_left_out(tmp_path: Path) -> None:
    context = project(tmp_path)
    before = now_us() - SECOND
    for worker in range(4):
        say(context, status("gps", worker, 4, now=before))
    say(context, status("gps", 0, 2, now=now_us()))
    say(context, status("gps", 1, 2, now=now_us()))
    assert [(each.worker, each.workers) for each in stream_status(context)] == [(0, 2), (1, 2)]


def test_a_status_that_can_not_be_read(tmp_path: Path) -> None:
    context = project(tmp_path)
    say(context, status())
    (status_folder(context, "gps") / "status-1.json").write_text('{"source": "gps"}')
    with pytest.raises(
        StreamError, match=r"source 'gps': what its stream says of itself in .* can't be read: .*missing"
    ):
        stream_status(context)
