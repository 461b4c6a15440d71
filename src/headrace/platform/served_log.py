"""The log of what was served: answers go into a queue, and from there into the lake, behind the server's back."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Final
from zlib import crc32

from headrace.errors import HeadraceError, SettingsError
from headrace.platform.served_log_entry import ServedEntry

if TYPE_CHECKING:
    import polars as pl

    from headrace.lake.base import Lake
    from headrace.platform.context import Context

__all__ = ["ServedEntry", "ServedLog"]

_A_BATCH: Final = 400_000
_A_PART: Final = 10_000
"""So many values are made into columns at a time, between which other threads run."""
_MOST_WAITING: Final = 2_000_000
_CLOSING_SECONDS: Final = 30.0
_PRUNED_EACH_SECONDS: Final = 3_600.0
_WHOLE: Final = 1 << 32
_log: Final = logging.getLogger(__name__)


class ServedLog:
    """Keeps answers in the lake, from one process. Any thread may `offer`.

    Parameters
    ----------
    lake : Lake
        Where it is kept: see `headrace.platform.served_log_tables`.
    share : float
        Which share of the requests, from 0 to 1. A request is kept or not by its id alone.
    clock : callable
        Now, in microseconds UTC.
    seconds : float
        How often the queue is written at the latest, which is what a process that is killed loses.
    keep_days : int, optional
        Days that are kept besides today's; all where it is None.
    most_waiting : int
        How many values may wait to be written. What comes above that is dropped, and counted.
    most_at_once : int
        So many values are written at once, before their time.

    Attributes
    ----------
    dropped : int
        Requests that were to be kept, and are not in the log.
    written : int
        Values that are.
    """

    def __init__(
        self,
        lake: Lake,
        share: float,
        *,
        clock: Callable[[], int],
        seconds: float = 5.0,
        keep_days: int | None = None,
        most_waiting: int = _MOST_WAITING,
        most_at_once: int = _A_BATCH,
    ) -> None:
        self._lake, self._clock, self._seconds, self._keep_days = lake, clock, seconds, keep_days
        self._below, self._most, self._batch = round(share * _WHOLE), most_waiting, most_at_once
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.dropped = self.written = 0
        self._waiting: deque[ServedEntry] = deque()
        self._values, self._lost = 0, Counter[str]()
        self._lock, self._wake, self._closing = Lock(), Event(), False
        self._pruned_at = float("-inf")
        self._thread = Thread(target=self._run, name="served-log", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, context: Context, share: float = 1.0, *, clock: Callable[[], int] | None = None, **options: float | None
    ) -> ServedLog:
        """Begin to log what a project serves, from this process: open it after a fork.

        Parameters
        ----------
        context : Context
            The project.
        share, clock, **options
            As for the class.

        Raises
        ------
        SettingsError
            If `share` is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise SettingsError(f"the share of requests to log is from 0 to 1, and not {share!r}.")
        own = clock or _machine_clock
        return cls(context.lake, share, clock=own, **options)  # type: ignore[arg-type]

    def takes(self, request_id: str) -> bool:
        """Whether a request is among those that are kept; ask first where making an entry costs something."""
        return self._below >= _WHOLE or crc32(request_id.encode()) < self._below

    def offer(self, entry: ServedEntry) -> None:
        """Keep an answer, if its request is among those that are kept: never waits, and never fails."""
        if self._below < _WHOLE and not self.takes(entry.request_id):
            return
        answer = entry.answer
        values = len(answer.rows) * len(answer.types)
        with self._lock:
            held = self._values + values
            if held > self._most or self._closing:
                self._lost[entry.service.name] += 1
                self.dropped += 1
                return
            self._waiting.append(entry)
            self._values = held
        if held >= self._batch > held - values:
            self._wake.set()

    def flush(self) -> None:
        """Write what waits, in this thread."""
        with self._lock:
            entries, self._waiting = self._waiting, deque()
            lost, self._lost = self._lost, Counter()
        groups: dict[tuple[str, tuple[str, ...], int], list[ServedEntry]] = {}
        for entry in entries:
            answer = entry.answer
            kind = (entry.service.name, tuple(answer.types), hash(tuple(answer.types.values())))
            groups.setdefault(kind, []).append(entry)
        for (service, _, _), own in groups.items():
            self._write(service, own, lost.pop(service, 0))
        for service, count in lost.items():
            self._write(service, [], count)

    def close(self) -> None:
        """Write what waits, and end. What is offered afterwards is dropped."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(_CLOSING_SECONDS)
        if self._thread.is_alive():
            _log.error("the log of what was served could not be written within %s s", _CLOSING_SECONDS)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._seconds)
            self._wake.clear()
            self.flush()
            self._prune()
        self.flush()

    def _write(self, service: str, entries: list[ServedEntry], lost: int) -> None:
        """Write some answers; where that fails, say so, and let the log tell later how many are missing."""
        from polars.exceptions import PolarsError

        from headrace.platform.served_log_tables import append

        values = sum(entry.values for entry in entries)
        try:
            frame = self._frame(entries, lost)
            append(self._lake, service, frame)
        except (HeadraceError, PolarsError, OSError, ValueError, TypeError, OverflowError) as error:
            _log.warning("%d answers of service '%s' are not in the log: %s", len(entries), service, error)
            with self._lock:
                self._lost[service] += len(entries) + lost
                self.dropped += len(entries)
        else:
            self.written += values
        with self._lock:
            self._values -= values

    def _frame(self, entries: list[ServedEntry], lost: int) -> pl.DataFrame:
        import polars as pl

        from headrace.platform.served_log_frames import as_rows, lost_row

        parts, own, values = [], [], 0
        for entry in entries:
            own.append(entry)
            values += entry.values
            if values >= _A_PART:
                parts.append(as_rows(own, self.worker))
                own, values = [], 0
                time.sleep(0)
        if own:
            parts.append(as_rows(own, self.worker))
        if lost:
            parts.append(lost_row(lost, self._clock(), self.worker))
        return pl.concat(parts, how="diagonal")

    def _prune(self) -> None:
        from headrace.platform.served_log_tables import prune_all

        now = time.monotonic()
        if self._keep_days is None or now < self._pruned_at + _PRUNED_EACH_SECONDS:
            return
        self._pruned_at = now
        try:
            prune_all(self._lake, self._keep_days, self._clock())
        except HeadraceError as error:
            _log.warning("old days of the log of what was served are still there: %s", error)


def _machine_clock() -> int:
    return time.time_ns() // 1_000
