"""Letting many processes work on one project at once, and comparing what came of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contending.ending import compared, findings, up_to_date, versions_made
from benchmarks.contending.process import Process, Worked
from benchmarks.contending.tally import Tally
from benchmarks.contending.work import CREW
from benchmarks.killing.project import make_project

_ROUNDS = 40
_SHORTEST_REST_SECONDS = 0.5


def contend(seconds: float, seed: int, folder: Path, report: Callable[[str], None] = lambda _: None) -> Tally:
    """Let all processes work for some time, and tell what came of it.

    Parameters
    ----------
    seconds : float
        How long.
    seed : int
        Of the random numbers of the processes.
    folder : Path
        Where the project is made.
    report : callable
        Told how far it has come.
    """
    began, tally, root = time.monotonic(), Tally(), folder / "contended"
    make_project(root)
    with serving(root) as server:
        tally.worked = _worked(root, seed, seconds, server, report)
    report("bringing everything up to date")
    up_to_date(root)
    report("comparing")
    tally.publications, tally.differences, tally.findings = versions_made(root), compared(root), findings(root)
    tally.seconds = time.monotonic() - began
    return tally


def _worked(root: Path, seed: int, seconds: float, server: str, report: Callable[[str], None]) -> list[Worked]:
    rest_seconds = max(seconds / _ROUNDS, _SHORTEST_REST_SECONDS)
    crew = [Process(kind, root, seed * 100 + place, rest_seconds, server) for place, kind in enumerate(CREW)]
    for process in crew:
        process.begin()
    report(f"{len(crew)} processes and a server work for {seconds:g} s")
    time.sleep(seconds)
    for process in crew:
        process.close()
    return [process.end() for process in crew]


@contextmanager
def serving(root: Path) -> Iterator[str]:
    """A server on a project; its address."""
    command = [sys.executable, "-m", "headrace", "serve", "--port", "0", "--project", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
