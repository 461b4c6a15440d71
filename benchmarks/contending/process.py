"""One process of those that work at once: ``python -m benchmarks.contending.process KIND DIR SEED REST [SERVER]``.

It says "ready", works from the first line of its standard input until that ends, and then tells what it did as one
line of JSON.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.contending.work import KINDS, NOTHING, Worker
from benchmarks.killing.findings import Finding
from headrace.errors import AuditError, ConflictError, HeldError, NotAppliedError, VersionGoneError
from headrace.platform import Platform

CLEAN = (ConflictError, HeldError, AuditError, VersionGoneError, NotAppliedError)
"""What a process may be told because of what others do at the time."""
_MOST_ERRORS = 20
_PAUSE_SECONDS = 0.1
_ROOT = Path(__file__).parents[2]


@dataclass
class Worked:
    """What a process did.

    Parameters
    ----------
    done, refused : dict of str to int
        How often it did what, and how often it was told which clean error.
    errors : list of str
        What should never have been raised.
    findings : list of Finding
        What a reader found wrong.
    """

    done: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class Process:
    """A process at work; `end` tells what it did."""

    def __init__(self, kind: str, root: Path, seed: int, rest_seconds: float, server: str) -> None:
        command = [sys.executable, "-m", "benchmarks.contending.process", kind, str(root), str(seed)]
        self._kind = kind
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [*command, str(rest_seconds), server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )

    def begin(self) -> None:
        """Let it work, once it is ready."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Tell it to end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def end(self) -> Worked:
        """Wait for its end, and for what it did."""
        answer, _ = self._process.communicate()
        if self._process.returncode:
            return Worked(errors=[f"the process for {self._kind} ended with {self._process.returncode}"])
        found = json.loads(answer)
        return Worked(**found | {"findings": [Finding(**finding) for finding in found["findings"]]})


def work(worker: Worker, ended: threading.Event) -> Worked:
    """Do bits of work until told to end."""
    done = Worked(findings=worker.findings)
    while not ended.is_set() and len(done.errors) < _MOST_ERRORS:
        _tried(worker, done)
    worker.end()
    return done


def _tried(worker: Worker, done: Worked) -> None:
    kind = type(worker).__name__.lower()
    try:
        what = worker.once()  # type: ignore[attr-defined]
    except CLEAN as error:
        what = f"{kind}: {type(error).__name__}"
        done.refused[what] = done.refused.get(what, 0) + 1
        time.sleep(_PAUSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever else is raised is a finding
        place = "".join(traceback.format_tb(error.__traceback__)[-3:])
        done.errors.append(f"{kind}: {type(error).__name__}: {error}\n{place}")
    else:
        done.done[what] = done.done.get(what, 0) + 1
        time.sleep(_PAUSE_SECONDS * what.startswith(NOTHING))


def main() -> None:
    """Work until nobody is at the other end of standard input."""
    kind, root, seed, rest_seconds, server = sys.argv[1:6]
    worker = KINDS[kind](Platform.open(root), random.Random(int(seed)), server, float(rest_seconds))
    print("ready", flush=True)
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    print(json.dumps(asdict(work(worker, ended))))


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
