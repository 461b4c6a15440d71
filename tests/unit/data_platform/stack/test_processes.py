"""Processes: which run, which have ended, and which only look as if they ran."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.stack import processes

ASLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


@pytest.fixture
def asleep(tmp_path: Path) -> Iterator[int]:
    pid = processes.spawn([sys.executable, "-c", ASLEEP], tmp_path / "log")
    yield pid
    processes.end(pid, ASLEEP, 5)


def test_a_process_is_known_by_its_command_line(asleep: int) -> None:
    assert processes.is_running(asleep, ASLEEP)
    assert not processes.is_running(asleep, "kafka.properties")


def test_what_nobody_waited_for_has_ended() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    while Path(f"/proc/{child}/stat").exists() and b") Z" not in Path(f"/proc/{child}/stat").read_bytes():
        time.sleep(0.01)
    assert not processes.is_running(child, "")
    processes.send(child, signal.SIGTERM)


def test_a_paused_process_ends(asleep: int) -> None:
    processes.send(asleep, signal.SIGSTOP)
    assert processes.is_running(asleep, ASLEEP)
    processes.end(asleep, ASLEEP, 5)
    assert not processes.is_running(asleep, ASLEEP)


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    pid = processes.spawn([sys.executable, "-c", DEAF], log)
    while "deaf" not in log.read_text():
        time.sleep(0.01)
    processes.end(pid, DEAF, 0.2)
    assert not processes.is_running(pid, DEAF)


def test_a_number_that_nobody_has_does_not_run() -> None:
    assert not processes.is_running(2**22 + 1, "")
    processes.send(2**22 + 1, signal.SIGTERM)
