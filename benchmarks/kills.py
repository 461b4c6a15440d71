"""Kills commands at random moments, runs them again, and counts what was lost, doubled, half-written or read wrongly.

``python -m benchmarks.kills --kills 100 --seed 1``

A project with a source of each kind gets new files round by round, each third one with poison that the audit has to
reject. Each round its ``headrace`` ingest, backfill, rollback, release, materialize, optimize and vacuum are killed
(SIGKILL) some times, half of them at a moment that is uniform over the command's measured duration, the others at a
named point of the code, and then run to their end. Meanwhile another process reads every table, makes training sets
and asks the online store, and checks that each answer is that of one published version. At the end all tables are
compared with those of a project that got the same files and was never killed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.killing.comparison import differences
from benchmarks.killing.executioner import Executioner
from benchmarks.killing.feed import Feed
from benchmarks.killing.findings import Finding
from benchmarks.killing.project import make_project
from benchmarks.killing.reader import Reader, ReaderProcess
from benchmarks.killing.tally import Tally, print_tally
from benchmarks.killing.victim import run


def kill(kills: int, seed: int, folder: Path, report: Callable[[str], None] = lambda _: None) -> Tally:
    """Kill commands until they were killed as often as is wanted, and tell what came of it.

    Parameters
    ----------
    kills, seed : int
        How often, and the seed of the random numbers.
    folder : Path
        Where the projects are made.
    report : callable
        Told how far it has come.
    """
    began, tally, killed, clean = time.monotonic(), Tally(), folder / "killed", folder / "clean"
    make_project(killed)
    feed, reader = Feed(seed), ReaderProcess(killed)
    executioner = Executioner(killed, random.Random(seed), tally, kills)
    try:
        while executioner.left > 0:
            feed.arrive(killed)
            executioner.round(feed)
            report(f"{len(tally.deaths)} of {kills} kills, {tally.rounds} rounds")
        executioner.finish()
    finally:
        tally.reading = reader.stop()
    tally.reading.findings += _findings(killed, "at the end")
    report("the same without kills")
    _run_clean(clean, seed, tally.rounds)
    tally.differences = differences(killed, clean)
    tally.reading.findings += _findings(clean, "without kills")
    tally.seconds = time.monotonic() - began
    return tally


def _run_clean(root: Path, seed: int, rounds: int) -> None:
    make_project(root)
    feed = Feed(seed)
    for _ in range(rounds):
        feed.arrive(root)
        if feed.is_poisoned:
            feed.repair(root)
    for command in ("ingest", "backfill"):
        run(root, [command])


def _findings(root: Path, when: str) -> list[Finding]:
    """What is wrong when everything has ended: online is what is served, and not the version before it."""
    reader = Reader(root)
    for _ in range(5):
        reader.poll(lag=0)
    return [Finding(finding.kind, f"{when}: {finding.text}") for finding in reader.reading.findings]


def main() -> None:
    """Kill as the arguments say; exit with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder for the projects, which are kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        tally = kill(given.kills, given.seed, folder, lambda text: print(text, file=sys.stderr, flush=True))
    print_tally(tally)
    sys.exit(0 if tally.is_clean else 1)


if __name__ == "__main__":
    main()
