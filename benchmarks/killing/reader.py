"""Reads all tables of a project again and again, while its writers are killed, and checks what it reads.

``python -m benchmarks.killing.reader DIR`` reads until its standard input ends, then whatever versions it has
missed, and prints what it found as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.killing.wholeness import Wholeness

_PAUSE_SECONDS = 0.2


@dataclass
class Reading:
    """What a reader saw.

    Parameters
    ----------
    live, versions : int
        Reads made while commands ran, and versions of tables that were checked.
    problems : list of str
        What was not whole.
    """

    live: int = 0
    versions: int = 0
    problems: list[str] = field(default_factory=list)


class Reader:
    """Checks every version of every table once, and the newest ones as soon as they are seen."""

    def __init__(self, root: Path) -> None:
        self.reading = Reading()
        self._wholeness = Wholeness(root)
        self._seen: set[tuple[str, int]] = set()

    def poll(self) -> None:
        """Read the newest version of every table."""
        for name, table in self._wholeness.tables().items():
            self._check(name, table.version())
            self.reading.live += 1

    def catch_up(self) -> None:
        """Check the versions that came and went between two polls."""
        for name, table in self._wholeness.tables().items():
            for version in range(table.version() + 1):
                self._check(name, version)

    def _check(self, name: str, version: int) -> None:
        if (name, version) in self._seen:
            return
        self._seen.add((name, version))
        self.reading.versions += 1
        try:
            found = list(self._wholeness.problems(name, version))
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is a finding
            found = [f"{type(error).__name__}: {error}"]
        self.reading.problems += [f"{name}, version {version}: {problem}" for problem in found]


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
        return Reading(**json.loads(answer))


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
