"""What the processes do: each kind of work is a class whose `once` does a bit of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from benchmarks.contending.asking_http import ask_server
from benchmarks.killing.answers import Asker
from benchmarks.killing.feed import Feed
from benchmarks.killing.findings import Finding
from benchmarks.killing.oracle import Oracle
from benchmarks.killing.wholeness import Wholeness
from headrace.errors import HeadraceError
from headrace.platform import Platform
from headrace.types import DAY

KEPT: Final = 5
NOTHING: Final = "nothing"
"""How what was done begins, where there was nothing to do."""
PINGS, RIDES = 60, 10
_QUARTER: Final = DAY // 4


class Work(Protocol):
    """A kind of work."""

    def once(self) -> str:
        """Do a bit of it, and say what it was."""

    def end(self) -> None:
        """Leave things in order."""


@dataclass
class Worker:
    """What every kind of work has.

    Parameters
    ----------
    platform : Platform
        The project.
    chance : Random
        What to do next.
    server : str
        The address of a server, if one runs.
    rest_seconds : float
        How long to rest after a bit of work that comes now and then.
    """

    platform: Platform
    chance: random.Random
    server: str = ""
    rest_seconds: float = 1.0
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make what the kind of work needs."""

    def end(self) -> None:
        """Leave things as they are."""

    def view(self) -> str:
        """Any view."""
        return self.chance.choice([*self.platform.definitions.views])

    def rest(self) -> None:
        """Let the others work."""
        time.sleep(self.rest_seconds * self.chance.uniform(0.5, 1.5))


class Backfilling(Worker):
    """Computes what is missing, or some quarters of a day again, as others may be doing at the time."""

    def once(self) -> str:
        """Backfill."""
        view = self.view()
        serving = self.platform.context.registry.serving().get(view)
        if serving is None or self.chance.random() < 0.4:
            self.platform.backfill(view)
            return "backfill"
        end = serving.frontier - self.chance.randrange(6) * _QUARTER
        self.platform.backfill(view, end - self.chance.randint(1, 4) * _QUARTER, end)
        return "backfill of a span"


class Ingesting(Worker):
    """Lets files arrive and takes them in; poison is repaired a round later."""

    def __post_init__(self) -> None:
        """Make what it needs."""
        self.feed = Feed(self.chance.randrange(1000), PINGS, RIDES)

    def once(self) -> str:
        """Ingest."""
        if self.feed.is_poisoned:
            self.end()
            return "repair"
        self.feed.arrive(self.platform.context.root)
        self.platform.ingest()
        self.rest()
        return "ingest"

    def end(self) -> None:
        """Repair what is poisoned."""
        if self.feed.is_poisoned:
            self.feed.repair(self.platform.context.root)
            self.platform.ingest()


class RollingBack(Worker):
    """Takes publications back, and releases their views a while later."""

    def once(self) -> str:
        """Roll back and release."""
        self.rest()
        view = self.view()
        publications = self.platform.context.registry.publications(view)
        serving = self.platform.context.registry.serving().get(view)
        kept = [p for p in publications if not p.vacuumed and serving is not None and p.number < serving.content_of]
        if not kept:
            return f"{NOTHING} to roll back"
        try:
            self.platform.rollback(view, self.chance.choice([None, kept[-1].number]))
            self.rest()
        except HeadraceError as error:
            if "nothing to go back to" in str(error):  # the versions before only reached less far
                return f"{NOTHING} to roll back"
            raise
        finally:
            self.platform.release(view)
        return "rollback and release"


class Materializing(Worker):
    """Brings the online store to what is served."""

    def once(self) -> str:
        """Materialize."""
        whole = self.chance.random() < 0.3
        self.platform.materialize(self.view(), whole=whole)
        return "materialize, whole" if whole else "materialize"


class Vacuuming(Worker):
    """Removes old files."""

    def once(self) -> str:
        """Vacuum."""
        self.platform.vacuum(self.view(), keep=KEPT)
        self.rest()
        return "vacuum"


class Optimizing(Worker):
    """Rewrites small files into large ones."""

    def once(self) -> str:
        """Optimize."""
        self.platform.optimize(self.chance.choice([*self.platform.definitions.views, "rides", "papers"]))
        self.rest()
        return "optimize"


class Reading(Worker):
    """Asks for features, and compares each answer with the published versions."""

    def __post_init__(self) -> None:
        """Make what it needs."""
        wholeness = Wholeness(self.platform.context.root)
        self.asker = Asker(wholeness.platform, Oracle(wholeness), self.chance.randrange(1000))

    def ask(self, what: str, findings: Callable[[], list[Finding]]) -> str:
        """Ask, and note what is wrong."""
        before = self.asker.asked
        self.findings += findings()
        return what if self.asker.asked > before else f"{NOTHING} to read yet"


class ReadingOffline(Reading):
    """Makes training sets."""

    def once(self) -> str:
        """Ask once."""
        return self.ask("training set", self.asker.offline)


class ReadingOnline(Reading):
    """Asks the online store, and the server."""

    def once(self) -> str:
        """Ask once."""
        if self.chance.random() < 0.5:
            return self.ask("online, in process", self.asker.online)
        return self.ask("online, over HTTP", lambda: self.asker.online(ask=ask_server(self.platform, self.server)))


KINDS: Final[dict[str, type[Worker]]] = {
    "backfill": Backfilling, "ingest": Ingesting, "rollback": RollingBack, "materialize": Materializing,
    "vacuum": Vacuuming, "optimize": Optimizing, "training set": ReadingOffline, "online": ReadingOnline,
}  # fmt: skip
CREW: Final = (
    "backfill", "backfill", "backfill", "ingest", "rollback", "materialize", "vacuum", "optimize", "training set",
    "online",
)  # fmt: skip
"""The processes that work at once; a server is one more."""
