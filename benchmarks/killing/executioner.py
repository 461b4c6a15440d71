"""Killing commands, each at another moment, and seeing to it that they are done in the end."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.killing.feed import Feed
from benchmarks.killing.phases import Footprint, phase_of
from benchmarks.killing.project import START
from benchmarks.killing.publications import unsettled
from benchmarks.killing.tally import Tally
from benchmarks.killing.victim import CommandFailedError, Death, run
from headrace.platform import Platform

SHARE_AT_POINTS: Final = 0.5
MOST_KILLS_OF_A_COMMAND: Final = 3
_ONLINE: Final = ["after online chunk", "before online head", "after online head"]
_PUBLISHING: Final = [*_ONLINE, "before publication", "after publication"]
POINTS: Final = {
    "ingest": [
        "before bronze file", "before bronze commit", "after bronze commit", "after quarantine commit",
        "after silver file", "before silver commit", "after silver commit",
    ],
    "backfill": [
        "after gold file", "before candidate part", "after candidate part", "after carry", "after audit",
        "before gold commit", "after gold commit", *_PUBLISHING, "before backfill ends",
    ],
    "rollback": ["before rollback commit", "after rollback commit", *_PUBLISHING],
    "release": [],
    "materialize": _ONLINE,
    "optimize": _PUBLISHING,
    "vacuum": ["before vacuum", "after vacuum"],
}  # fmt: skip
REJECTED, HELD_ALREADY, HELD = "the audit rejects", "is held already", "is held since"
_KEPT = "3"
_MOST_FAILURES = 5


class Executioner:
    """Runs rounds of commands on a project, with kills on the way.

    Parameters
    ----------
    root : Path
        The project.
    chance : Random
        When to kill.
    tally : Tally
        What happened; written.
    wanted : int
        How many kills.
    """

    def __init__(self, root: Path, chance: random.Random, tally: Tally, wanted: int) -> None:
        self._root, self._chance, self._tally, self._wanted = root, chance, tally, wanted
        self._platform = Platform.open(root)
        self._usual_seconds = dict.fromkeys(POINTS, 3.0)

    @property
    def left(self) -> int:
        """How many kills are still to come; none after some failures."""
        return 0 if len(self._tally.failures) >= _MOST_FAILURES else self._wanted - len(self._tally.deaths)

    def round(self, feed: Feed) -> None:
        """Bring what has arrived to readers, take some of it back and bring it again, and tidy up."""
        self._tally.rounds += 1
        self._do("ingest")
        if feed.is_poisoned:
            self._do("backfill", refusal=REJECTED, must_refuse=True)
            feed.repair(self._root)
            self._do("ingest")
        self._do("backfill")
        for tidy in (self._roll_back, self._materialize, self._optimize, self._vacuum):
            if self.left > 0:
                tidy()

    def finish(self) -> None:
        """Bring everything up to date, without kills."""
        for command in ("ingest", "backfill"):
            self._to_its_end([command], "", must_refuse=False)

    def _materialize(self) -> None:
        self._do("materialize", *self._chance.choice([[], ["--whole"]]))

    def _optimize(self) -> None:
        if self._chance.random() < 0.5:
            self._do("optimize", self._any_view())

    def _vacuum(self) -> None:
        self._do("vacuum", "--keep", _KEPT)

    def _any_view(self) -> str:
        return self._chance.choice([*self._platform.definitions.views])

    def _roll_back(self) -> None:
        view = self._any_view()
        serving = self._platform.context.registry.serving().get(view)
        kept = [p for p in self._platform.context.registry.publications(view) if not p.vacuumed]
        earlier = [p for p in kept if serving is not None and p.number < serving.content_of]
        if not earlier:
            return
        chosen = self._chance.choice([None, *(p for p in kept if p != serving)])
        target = earlier[-1] if chosen is None else chosen
        self._do("rollback", view, *([] if chosen is None else [str(chosen.number)]), refusal=HELD_ALREADY)
        self._check_rolled_back(view, target.content_of)
        if self._chance.random() < 0.5:
            self._do("backfill", view, refusal=HELD, must_refuse=True)
        self._do("release", view)
        self._do("backfill", view)

    def _check_rolled_back(self, view: str, content_of: int) -> None:
        registry = self._platform.context.registry
        found = registry.serving()[view]
        if found.content_of != content_of or view not in registry.holds():
            self._tally.failures.append(f"rollback of {view} to version {content_of} ended, and {found} is served")

    def _do(self, *arguments: str, refusal: str = "", must_refuse: bool = False) -> None:
        """Kill a command some times, then let it come to its end."""
        for _ in range(min(self.left, self._chance.randint(1, MOST_KILLS_OF_A_COMMAND))):
            self._kill(arguments, refusal)
        self._to_its_end(arguments, refusal, must_refuse)

    def _to_its_end(self, arguments: tuple[str, ...] | list[str], refusal: str, must_refuse: bool) -> None:
        command = " ".join(arguments)
        try:
            done = run(self._root, arguments, refusal=refusal)
            self._note(done)
        except CommandFailedError as error:
            self._tally.failures.append(str(error))
            return
        if must_refuse and not done.refusal:
            self._tally.failures.append(f"{command} ended without the error that says: {refusal}")
        if not must_refuse:
            found = [f"after {command}: {finding.kind}: {finding.text}" for finding in unsettled(self._platform)]
            self._tally.unsettled += found

    def _kill(self, arguments: tuple[str, ...], refusal: str) -> None:
        command = arguments[0]
        if command == "backfill" and not refusal and self._tally.rounds > 1 and self._chance.random() < 0.2:
            arguments = ("backfill", "driver_now", "--start", f"{START}T03:00:00Z", "--end", f"{START}T11:00:00Z")
        before = Footprint.of(self._platform)
        try:
            death = self._run_and_kill(command, arguments, refusal)
        except CommandFailedError as error:
            self._tally.failures.append(str(error))
            return
        self._note(replace(death, phase=phase_of(self._platform, before)) if death.killed else death)

    def _run_and_kill(self, command: str, arguments: tuple[str, ...], refusal: str) -> Death:
        if POINTS[command] and self._chance.random() < SHARE_AT_POINTS:
            passes = 1 if arguments[1:2] and arguments[1] in self._platform.definitions.views else 4
            at = f"{self._chance.choice(POINTS[command])}:{self._chance.randint(1, passes)}"
            return run(self._root, arguments, at=at, refusal=refusal)
        after_seconds = self._chance.uniform(0, self._usual_seconds[command])
        return run(self._root, arguments, after_seconds=after_seconds, refusal=refusal)

    def _note(self, death: Death) -> None:
        self._tally.runs += 1
        if death.killed:
            self._tally.deaths.append(death)
        else:
            usual = self._usual_seconds[death.command]
            self._usual_seconds[death.command] = 0.7 * usual + 0.3 * death.seconds
