"""Running a command of a project, and killing it without any warning at a moment or at a named point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE_TREE = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Death:
    """How a run of a command ended.

    Parameters
    ----------
    command : str
        Its name, such as "ingest".
    killed : bool
        False if it was done before it could be killed.
    seconds : float
        How long it ran.
    point : str
        The named point at which it was killed; empty if it was at a moment.
    refusal : str
        What it said, if it ended with an error that was to be expected.
    phase : str
        One of `benchmarks.killing.phases.PHASES`: what it had done by then.
    """

    command: str
    killed: bool
    seconds: float
    point: str = ""
    refusal: str = ""
    phase: str = ""


class CommandFailedError(Exception):
    """A command that was not killed ended with an error."""


def run(
    root: Path, arguments: Sequence[str], *, after_seconds: float | None = None, at: str = "", refusal: str = ""
) -> Death:
    """Run a command, and kill it after some time or at a point, if either is given.

    Parameters
    ----------
    root : Path
        The project.
    arguments : sequence of str
        The command and its options.
    after_seconds : float, optional
        When to kill it.
    at : str
        A crash point, ``name`` or ``name:n``.
    refusal : str
        Words of the error with which it may end.

    Raises
    ------
    CommandFailedError
        If it ended by itself with another error.
    """
    command = [sys.executable, "-m", "benchmarks.killing.command", *arguments, "--project", str(root)]
    environment = os.environ | {
        "HEADRACE_CRASH_AT": at,
        "PYTHONPATH": os.pathsep.join([str(SOURCE_TREE / "src"), str(SOURCE_TREE)]),
    }
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, cwd=SOURCE_TREE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            _, complaint = child.communicate(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            _, complaint = child.communicate()
    seconds = time.monotonic() - began
    if child.returncode == -signal.SIGKILL:
        return Death(arguments[0], killed=True, seconds=seconds, point=at)
    if child.returncode == 0:
        return Death(arguments[0], killed=False, seconds=seconds)
    said = " ".join(complaint.split())
    if child.returncode == 1 and refusal and refusal in said:
        return Death(arguments[0], killed=False, seconds=seconds, refusal=said)
    raise CommandFailedError(f"{' '.join(arguments)} ended with {child.returncode}: {said[-2000:]}")
