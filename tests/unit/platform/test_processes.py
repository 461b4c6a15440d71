"""Telling processes apart."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from headrace.platform.processes import has_ended, is_here, this_process

HOST, PID, START = this_process().split(":")
STARTED, _, SYSTEM = START.partition("@")


def test_this_process_has_not_ended() -> None:
    assert int(PID) == os.getpid()
    assert not has_ended(this_process())
    assert not has_ended(f"{this_process()}:second thread")
    assert is_here(this_process())


@pytest.mark.skipif(sys.platform == "win32", reason="of other processes nothing is known there")
def test_a_process_that_ended_is_known_to_have() -> None:
    say = "from headrace.platform.processes import this_process; print(this_process())"
    other = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True).stdout.strip()
    assert other.startswith(f"{HOST}:")
    assert has_ended(other)
    assert has_ended(f"{other}:second thread")


@pytest.mark.skipif(not STARTED, reason="this system doesn't tell when a process started")
def test_a_number_that_was_given_to_another_process_since_is_not_that_process() -> None:
    assert has_ended(f"{HOST}:{PID}:{int(STARTED) - 1}@{SYSTEM}")


@pytest.mark.parametrize(
    "elsewhere",
    [f"other{HOST}:{2**22}:5@{SYSTEM}", f"{HOST}:{2**22}:5@other{SYSTEM}", f"{HOST}::5@{SYSTEM}", "", "ada", "::::"],
)
def test_of_a_process_elsewhere_nothing_is_known(elsewhere: str) -> None:
    assert not has_ended(elsewhere)
    assert not is_here(elsewhere)


@pytest.mark.skipif(os.name != "posix", reason="there is no process 1")
def test_a_process_that_one_may_not_signal_has_not_ended() -> None:
    nobody = "import os; os.setuid(65534)" if os.geteuid() == 0 else ""
    ask = f"from headrace.platform.processes import _exists; {nobody}; print(_exists(1))"
    said = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert said == "True\n"
