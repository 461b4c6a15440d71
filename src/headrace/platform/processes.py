"""Telling processes apart, and knowing that one has ended."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

from headrace.types import SECOND

_CLOCK_SLACK_SECONDS: Final = 60
"""By how much the machine's clock may have been put back or forth since a process started."""


def this_process() -> str:
    """What tells this process from all others: ``host:pid:start``.

    The start names the boot and the container too where the system tells them: machines and containers
    may share their host name, and each has a process 1.
    """
    return f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}@{_system()}"


def has_ended(process: str) -> bool:
    """Whether a process of this machine has ended; False for one of which nothing is known here.

    Parameters
    ----------
    process : str
        As `this_process` said it there; what follows behind another colon does not matter.
    """
    if not is_here(process):
        return False
    _, pid, start, *_ = process.split(":")
    started = start.partition("@")[0]
    return not _exists(int(pid)) or _started(int(pid)) not in ("", started)


def is_here(process: str) -> bool:
    """Whether a process is one of this machine, and of this container, so that it can be told whether it runs.

    Parameters
    ----------
    process : str
        As `this_process` said it there.
    """
    host, pid, start, *_ = [*process.split(":"), "", "", ""]
    return (host, start.partition("@")[2]) == (socket.gethostname(), _system()) and pid.isdecimal()


def is_running(pid: int, began_us: int) -> bool:
    """Whether the process of this machine that had a number at a time runs still.

    Parameters
    ----------
    pid : int
        Its number.
    began_us : int
        A time at which it ran, in microseconds since 1970 UTC: a process that started later has only got its number.
    """
    if not _exists(pid):
        return False
    started = _started(pid)
    if not started.isdecimal():  # "ended", or a system that doesn't tell
        return not started
    age_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - int(started) / os.sysconf("SC_CLK_TCK")
    return time.time() - age_seconds <= began_us / SECOND + _CLOCK_SLACK_SECONDS


def _exists(pid: int) -> bool:
    if sys.platform == "win32":  # there, the call would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _started(pid: int) -> str:
    """When a process started, as the system counts it; empty where it doesn't tell."""
    try:
        # Behind the program's name, which may hold any byte: the state, and 19 fields later the start.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] in b"ZX" else fields[19].decode()


def _system() -> str:
    """The boot and the process namespace; empty where the system doesn't tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""
