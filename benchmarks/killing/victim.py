"""Running a command of a project, and killing it without any warning at a moment or at a named point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE_TREE = Path(__file__).parents[2]
STARTING, READING, WRITING, BETWEEN = "starting", "nothing written yet", "files not committed", "all files committed"
PHASES = (STARTING, READING, WRITING, BETWEEN)


@dataclass(frozen=True, slots=True)
class Death:
    """How a run of a command ended.

    Parameters
    ----------
    command : str
        "ingest" or "backfill".
    killed : bool
        False if it was done before it could be killed.
    seconds : float
        How long it ran.
    phase : str
        One of `PHASES`: what it had done by then.
    commits : int
        How many it had made.
    point : str
        The named point at which it was killed; empty if it was at a moment.
    """

    command: str
    killed: bool
    seconds: float
    phase: str = ""
    commits: int = 0
    point: str = ""


class CommandFailedError(Exception):
    """A command that was not killed ended with an error."""


def run(root: Path, arguments: Sequence[str], *, after_seconds: float | None = None, at: str = "") -> Death:
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

    Raises
    ------
    CommandFailedError
        If it ended by itself with an error.
    """
    command = [sys.executable, "-m", "benchmarks.killing.command", *arguments, "--project", str(root)]
    environment = os.environ | {
        "HEADRACE_CRASH_AT": at,
        "PYTHONPATH": os.pathsep.join([str(SOURCE_TREE / "src"), str(SOURCE_TREE)]),
    }
    began, began_ns = time.monotonic(), time.time_ns()
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, cwd=SOURCE_TREE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            _, complaint = child.communicate(timeout=after_seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            _, complaint = child.communicate()
    seconds = time.monotonic() - began
    if child.returncode not in (0, -signal.SIGKILL):
        raise CommandFailedError(f"{' '.join(arguments)} ended with {child.returncode}: {complaint.strip()[-2000:]}")
    if child.returncode == 0:
        return Death(arguments[0], killed=False, seconds=seconds)
    phase, commits = _phase(root / "lake", child.pid, began_ns)
    return Death(arguments[0], killed=True, seconds=seconds, phase=phase, commits=commits, point=at)


def _phase(lake: Path, pid: int, began_ns: int) -> tuple[str, int]:
    """What a process had done: by the locks that bear its id, and by the files and commits since it began."""
    if not any(f'"pid": {pid}}}' in lock.read_text() for lock in lake.glob(".locks/*.lock")):
        return STARTING, 0
    commits = [path for path in lake.rglob("_delta_log/*.json") if path.stat().st_mtime_ns >= began_ns]
    files = {path.name for path in lake.rglob("part-*.parquet") if path.stat().st_mtime_ns >= began_ns}
    referenced = {name for path in commits for name in _added(path)}
    if files - referenced:
        return WRITING, len(commits)
    return (BETWEEN if commits else READING), len(commits)


def _added(commit: Path) -> list[str]:
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    return [Path(action["add"]["path"]).name for action in actions if "add" in action]
