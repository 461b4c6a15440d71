"""Processes that outlive the program that started them: what runs is asked from the system, never remembered."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["end", "has_ended_within", "is_running", "send", "spawn"]

_PROC: Final = Path("/proc")
_POLL_SECONDS: Final = 0.02
_ENDED: Final = frozenset({"", "Z", "X"})


def spawn(command: Sequence[str], log: Path) -> int:
    """Start a program in a process group of its own; what it prints is appended to a file.

    Parameters
    ----------
    command : sequence of str
        The program's absolute path, and its arguments.
    log : Path
        The file for its standard output and error.

    Returns
    -------
    int
        The process's number.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], list(command), os.environ, file_actions=files, setpgroup=0)
    while _is_beginning(pid):
        time.sleep(_POLL_SECONDS)
    return pid


def is_running(pid: int, marker: str) -> bool:
    """Whether a process runs whose command line holds a text; what has ended but was not waited for does not run.

    Parameters
    ----------
    pid : int
        The process's number, which another program may have meanwhile.
    marker : str
        What only the right program's command line holds, as the path of its settings.
    """
    _reap(pid)
    state, command = _look(pid)
    return state not in _ENDED and marker in command


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process; nothing happens if it has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def end(pid: int, marker: str, timeout_seconds: float) -> None:
    """Ask a process to end, and kill it if it does not in time; one that is paused goes on for it."""
    send(pid, signal.SIGTERM)
    send(pid, signal.SIGCONT)
    if not has_ended_within(pid, marker, timeout_seconds):
        send(pid, signal.SIGKILL)
        has_ended_within(pid, marker, timeout_seconds)


def has_ended_within(pid: int, marker: str, timeout_seconds: float) -> bool:
    """Wait for a process to end; False if it still runs at last."""
    deadline = time.monotonic() + timeout_seconds
    while is_running(pid, marker) or _is_dying(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _is_beginning(pid: int) -> bool:
    """Whether a process exists that the system has not given its command line yet."""
    state, command = _look(pid)
    return state not in _ENDED and not command


def _reap(pid: int) -> None:
    """Take note of the end of a process that this one has started."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # another process has started it
        return


def _look(pid: int) -> tuple[str, str]:
    """A process's state, as one letter, and its command line; empty for one that is not there.

    The state of one that was killed is Z, and its command line empty, before all its threads have ended.
    """
    if not _PROC.joinpath("self").exists():
        return _ask_ps(pid)
    try:
        state = _fields(pid)[0]
        command = (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return "", ""
    return state.decode(), os.fsdecode(command)


def _is_dying(pid: int) -> bool:
    """Whether a process that was killed has threads yet, and with them its files and ports."""
    try:
        state, *fields = _fields(pid)
    except OSError:
        return False
    return state == b"Z" and int(fields[16]) > 1


def _fields(pid: int) -> list[bytes]:
    """What the system says of a process behind its program's name, which may hold any byte; the state comes first."""
    return (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()


def _ask_ps(pid: int) -> tuple[str, str]:
    command = ["ps", "-ww", "-o", "state=,args=", "-p", str(pid)]
    found = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    state, _, arguments = os.fsdecode(found.stdout).strip().partition(" ")
    return state[:1], arguments
