"""Reads everything of a project again and again, while its writers are killed, and checks what it reads.

``python -m benchmarks.killing.reader DIR`` reads until its standard input ends, then whatever versions it has
missed, and prints what it found as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.killing.answers import Asker
from benchmarks.killing.findings import GONE, HALF_WRITTEN, Finding
from benchmarks.killing.oracle import Oracle
from benchmarks.killing.publications import is_needed, misnumbered, unaudited
from benchmarks.killing.wholeness import Wholeness

_PAUSE_SECONDS = 0.2


@dataclass
class Reading:
    """What a reader saw.

    Parameters
    ----------
    live, versions, publications, answers : int
        Reads made while commands ran; versions of tables and publications that were checked; answers to requests.
    findings : list of Finding
        What was wrong.
    """

    live: int = 0
    versions: int = 0
    publications: int = 0
    answers: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What was wrong, in words."""
        return [f"{finding.kind}: {finding.text}" for finding in self.findings]


class Reader:
    """Checks every version of every table once, the newest ones as soon as they are seen, and asks for features."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        self.reading = Reading()
        self._wholeness = Wholeness(root)
        self._platform = self._wholeness.platform
        self._asker = Asker(self._platform, Oracle(self._wholeness), seed)
        self._seen: set[tuple[str, int]] = set()
        self._judged: set[tuple[str, int]] = set()

    def poll(self, lag: int = 1) -> None:
        """Read the newest version of every table, and ask for features.

        Parameters
        ----------
        lag : int
            How many publications the online store may be behind.
        """
        for name, table in self._wholeness.tables().items():
            self._check(name, table.version())
            self.reading.live += 1
        self._judge_publications()
        self._noted("online", lambda: self._asker.online(lag))
        self._noted("training set", self._asker.offline)
        self.reading.answers = self._asker.asked

    def catch_up(self) -> None:
        """Check the versions that came and went between two polls."""
        for name, table in self._wholeness.tables().items():
            for version in range(table.version() + 1):
                self._check(name, version)

    def _judge_publications(self) -> None:
        for view in self._platform.definitions.views:
            publications = self._platform.context.registry.publications(view)
            fresh = [p for p in publications if (view, p.number) not in self._judged and not p.vacuumed]
            self._judged |= {(view, p.number) for p in fresh}
            for publication in fresh:
                self.reading.publications += 1
                self._checked(f"gold/{view}", publication.table_version, unaudited(self._platform, publication))
            if fresh:
                self.reading.findings += misnumbered(publications)

    def _check(self, name: str, version: int) -> None:
        if (name, version) in self._seen:
            return
        self._seen.add((name, version))
        self.reading.versions += 1
        problems = self._wholeness.problems(name, version)
        self._checked(name, version, (Finding(HALF_WRITTEN, f"{name}, version {version}: {p}") for p in problems))

    def _checked(self, name: str, version: int, findings: Iterable[Finding]) -> None:
        """Note what is wrong with a version, unless vacuum took it."""
        layer, _, rest = name.partition("/")
        try:
            self.reading.findings += list(findings)
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
            if layer != "gold" or is_needed(self._platform, rest, version):
                self._note_error(f"{name}, version {version}", error)

    def _noted(self, place: str, ask: Callable[[], list[Finding]]) -> None:
        try:
            self.reading.findings += ask()
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
            self._note_error(place, error)

    def _note_error(self, place: str, error: Exception) -> None:
        self.reading.findings.append(Finding(GONE, f"{place}: {type(error).__name__}: {error}"))


class ReaderProcess:
    """A reader in a process of its own; `stop` tells what it saw."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "benchmarks.killing.reader", str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def stop(self) -> Reading:
        """End it, and wait for what it found."""
        answer, _ = self._process.communicate()
        found = json.loads(answer)
        return Reading(**found | {"findings": [Finding(**finding) for finding in found["findings"]]})


def main() -> None:
    """Read until nobody is at the other end of standard input."""
    reader = Reader(Path(sys.argv[1]))
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    while not ended.is_set():
        reader.poll()
        time.sleep(_PAUSE_SECONDS)
    reader.catch_up()
    print(json.dumps(asdict(reader.reading)))


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
