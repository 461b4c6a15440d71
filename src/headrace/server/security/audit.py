"""Who read what, without values: one JSON line a request, written by a thread that no request waits for."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from headrace.server.security.audit_file import AuditFile
from headrace.types import instant_text

_EVERY_SECONDS: Final = 0.5
_MOST_WAITING: Final = 100_000
_BATCH: Final = 1_000
_log: Final = logging.getLogger(__name__)
_encoder: Final = msgspec.json.Encoder()


class AuditRecord(NamedTuple):
    """One request.

    Parameters
    ----------
    at_us : int
        When, in microseconds UTC.
    caller, kind : str
        Who, as of `Caller`.
    peer : str
        The address it came from.
    route : str
        What was asked, such as ``/get-online-features``.
    service : str, optional
        The service that was read.
    views : sequence of str
        The views that were read.
    n_rows : int
        Of how many entities.
    status : int
        Of the answer.
    """

    at_us: int
    caller: str
    kind: str
    peer: str
    route: str
    service: str | None
    views: Sequence[str]
    n_rows: int
    status: int

    def line(self) -> dict[str, object]:
        """The record as it is written."""
        return {
            "time": instant_text(self.at_us), "caller": self.caller, "kind": self.kind, "peer": self.peer,
            "route": self.route, "service": self.service, "views": self.views, "rows": self.n_rows,
            "status": self.status,
        }  # fmt: skip


class Audit:
    """Records wait in memory for half a second at most, then are written.

    A process that is killed at once loses those that wait. Where the file can't be written, or more comes than the
    disk takes, records are dropped rather than requests held up: how many is counted, logged, and written as a line
    ``{"dropped": …}`` as soon as that goes.

    Parameters
    ----------
    file : AuditFile
        Where to.
    most_waiting : int
        How many records may wait.
    """

    def __init__(self, file: AuditFile, most_waiting: int = _MOST_WAITING) -> None:
        self._file = file
        self._most_waiting = most_waiting
        self._waiting: deque[AuditRecord] = deque()
        self._dropped = 0
        self._untold = 0
        self._failing = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0

    @property
    def dropped(self) -> int:
        """How many records were dropped so far."""
        return self._dropped

    def add(self, record: AuditRecord) -> None:
        """Have a record written soon; never waits."""
        if self._process != os.getpid():
            self._start()
        if len(self._waiting) >= self._most_waiting:
            self._drop(1)
        else:
            self._waiting.append(record)

    def close(self) -> None:
        """Write what waits."""
        self._closing.set()
        if self._thread is not None and self._process == os.getpid():
            self._thread.join()
        self._write_all()
        self._file.close()

    def _start(self) -> None:
        """Begin to write, in the process that serves: a thread does not come along when a process forks."""
        with self._lock:
            if self._process != os.getpid():
                self._waiting.clear()  # what waited when this process was forked is the other's to write
                self._thread = threading.Thread(target=self._run, name="headrace-audit", daemon=True)
                self._process = os.getpid()
                self._thread.start()

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_SECONDS):
            self._write_all()

    def _write_all(self) -> None:
        while self._waiting or self._untold:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            told = self._untold
            lines = [_encoder.encode(record.line()) for record in batch]
            if told:
                lines.append(_encoder.encode({"dropped": told}))
            if not self._written(b"\n".join([*lines, b""])):
                self._drop(len(batch))
                return
            with self._lock:
                self._untold -= told

    def _written(self, lines: bytes) -> bool:
        try:
            self._file.write(lines)
        except OSError as error:
            if not self._failing:
                _log.error("the record of who read what can't be written, and lines are dropped: %s", error)
            self._failing = True
            return False
        if self._failing:
            _log.warning("the record of who read what is written again; dropped so far: %d", self._dropped)
        self._failing = False
        return True

    def _drop(self, count: int) -> None:
        with self._lock:
            if count and not self._untold and not self._failing:
                _log.error("lines of the record of who read what are dropped: more comes than can be written")
            self._dropped += count
            self._untold += count
