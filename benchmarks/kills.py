"""Kills ingests and backfills at random moments, runs them again, and counts what was lost, doubled or half-written.

``python -m benchmarks.kills --kills 100 --seed 1``

A project with a source of each kind gets new files round by round. Each round its ``headrace ingest`` and
``headrace backfill`` are killed (SIGKILL) some times, most at a moment that is uniform over the command's measured
duration, the others at a named point of the code, and then run to their end. Meanwhile another process reads every
table, and checks each version that it can see. At the end all tables are compared with those of a project that got
the same files and was never killed.
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
from benchmarks.killing.feed import Feed
from benchmarks.killing.project import START, make_project
from benchmarks.killing.reader import Reader, ReaderProcess
from benchmarks.killing.tally import Tally, print_tally
from benchmarks.killing.victim import CommandFailedError, Death, run

SHARE_AT_POINTS = 0.4
MOST_KILLS_OF_A_COMMAND = 5
POINTS = {
    "ingest": [
        "before bronze file", "before bronze commit", "after bronze commit", "after quarantine commit",
        "after silver file", "before silver commit", "after silver commit",
    ],
    "backfill": ["after gold file", "before gold commit", "after gold commit", "after carry", "before backfill ends"],
}  # fmt: skip


class Executioner:
    """Kills commands, each at another moment, and sees to it that they are done in the end."""

    def __init__(self, root: Path, chance: random.Random, tally: Tally, wanted: int) -> None:
        self._root, self._chance, self._tally, self._wanted = root, chance, tally, wanted
        self._usual_seconds = {"ingest": 4.0, "backfill": 5.0}

    @property
    def left(self) -> int:
        """How many kills are still to come."""
        return self._wanted - len(self._tally.deaths)

    def round(self, report: Callable[[str], None]) -> None:
        """Bring what has arrived to gold, with some kills on the way."""
        self._tally.rounds += 1
        for command in ("ingest", "backfill"):
            for _ in range(min(self.left, self._chance.randint(1, MOST_KILLS_OF_A_COMMAND))):
                self._kill(command)
            self._note(run(self._root, [command]))
        report(f"{len(self._tally.deaths)} of {self._wanted} kills, {self._tally.rounds} rounds")

    def _kill(self, command: str) -> None:
        arguments = [command]
        if command == "backfill" and self._tally.rounds > 1 and self._chance.random() < 0.2:
            arguments += ["driver_now", "--start", f"{START}T03:00:00Z", "--end", f"{START}T11:00:00Z"]
        if self._chance.random() < SHARE_AT_POINTS:
            at = f"{self._chance.choice(POINTS[command])}:{self._chance.randint(1, 4)}"
            self._note(run(self._root, arguments, at=at))
        else:
            after_seconds = self._chance.uniform(0, self._usual_seconds[command])
            self._note(run(self._root, arguments, after_seconds=after_seconds))

    def _note(self, death: Death) -> None:
        self._tally.runs += 1
        if death.killed:
            self._tally.deaths.append(death)
        else:
            usual = self._usual_seconds[death.command]
            self._usual_seconds[death.command] = 0.7 * usual + 0.3 * death.seconds


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
        while executioner.left:
            feed.arrive(killed)
            executioner.round(report)
    except CommandFailedError as error:
        tally.failure = str(error)
    finally:
        tally.reading = reader.stop()
    report("the same without kills")
    _run_clean(clean, seed, tally.rounds)
    tally.differences = differences(killed, clean)
    tally.reading.problems += [f"without kills: {problem}" for problem in _problems(clean)]
    tally.seconds = time.monotonic() - began
    return tally


def _run_clean(root: Path, seed: int, rounds: int) -> None:
    make_project(root)
    feed = Feed(seed)
    for _ in range(rounds):
        feed.arrive(root)
    for command in ("ingest", "backfill"):
        run(root, [command])


def _problems(root: Path) -> list[str]:
    reader = Reader(root)
    reader.poll()
    return reader.reading.problems


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
