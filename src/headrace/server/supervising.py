"""Several workers at one port: each a process, started again when it ends."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from headrace.errors import HeadraceError
from headrace.server.worker import Order

_GRACE_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 0.1
_START_SECONDS: Final = 60.0
_START_LOOK_SECONDS: Final = 0.02
_QUICK_SECONDS: Final = 2.0
_log: Final = logging.getLogger(__name__)


class WorkerError(HeadraceError):
    """A worker ended before it could answer: the server's log says why."""


@dataclass(slots=True)
class _Worker:
    """One process, when it began, and where it says that it answers; None once it does."""

    process: subprocess.Popen[bytes]
    began: float
    says: int | None
    reload_due: bool = False

    @property
    def is_late(self) -> bool:
        """Whether it should answer by now."""
        return time.monotonic() - self.began > _START_SECONDS

    def answers(self) -> bool:
        """Whether it has said that it answers."""
        if self.says is None:
            return True
        try:
            if not os.read(self.says, 1):
                return False  # it has ended
        except BlockingIOError:
            return False
        self.hear_no_more()
        if self.reload_due:
            self.process.send_signal(signal.SIGHUP)
        return True

    def hear_no_more(self) -> None:
        """Close what it says it on."""
        if self.says is not None:
            says, self.says = self.says, None
            os.close(says)


class Supervisor:
    """Keeps workers running until it is told to stop.

    Parameters
    ----------
    project : Path
        The project's folder.
    host : str
        The address that is listened at.
    listener : socket
        The socket that all workers take connections from.
    given : mapping
        What the command line says.
    """

    def __init__(self, project: Path, host: str, listener: socket.socket, given: Mapping[str, Any]) -> None:
        self._project, self._host, self._listener, self._given = project, host, listener, dict(given)
        self._stopping = False
        self._workers: dict[int, _Worker] = {}

    def run(self, n: int, announce: Callable[[], None]) -> None:
        """Start workers, and start each again that ends, until SIGTERM or SIGINT; SIGHUP is passed on to them.

        Raises
        ------
        WorkerError
            If one ends before all have answered.
        """
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        with tempfile.TemporaryDirectory(prefix="headrace-serve-") as board:
            alive, kept = os.pipe()
            try:
                for number in range(n):
                    self._start(number, alive, board)
                    self._wait_for(number)
                    if self._stopping:
                        return
                announce()
                while not self._stopping:
                    self._look_after(alive, board)
                    time.sleep(_LOOK_SECONDS)
            finally:
                self._end()
                os.close(alive)
                os.close(kept)

    def _start(self, number: int, alive: int, board: str) -> None:
        """Start a worker; `_wait_for` waits until it answers."""
        says, ready = os.pipe()
        os.set_blocking(says, False)
        order = Order(str(self._project), self._host, self._given, self._listener.fileno(), alive, ready, board, number)
        command = [sys.executable, "-m", "headrace.server.worker", msgspec.json.encode(order).decode()]
        passed = (self._listener.fileno(), alive, ready)
        try:
            process = subprocess.Popen(command, pass_fds=passed)  # noqa: S603 - this very program
        except OSError:
            os.close(says)
            raise
        finally:
            os.close(ready)
        self._workers[number] = _Worker(process, time.monotonic(), says)

    def _wait_for(self, number: int) -> None:
        worker = self._workers[number]
        while not self._stopping and not worker.answers():
            status = worker.process.poll()
            if status is not None:
                raise WorkerError(f"worker {number} ended with {status} before it answered; its message is above.")
            if worker.is_late:
                raise WorkerError(
                    f"worker {number} does not answer {_START_SECONDS:g} s after its start. What does the project's "
                    "module wait for?"
                )
            time.sleep(_START_LOOK_SECONDS)

    def _look_after(self, alive: int, board: str) -> None:
        """Start each worker again that has ended; nobody waits for it here, as others may end meanwhile."""
        for number, worker in [*self._workers.items()]:
            status = worker.process.poll()
            if status is None and not worker.answers() and worker.is_late:
                _log.error("worker %d (process %d) does not begin to answer: it is ended", number, worker.process.pid)
                worker.process.kill()
            if status is None or self._stopping or time.monotonic() - worker.began < _QUICK_SECONDS:
                continue  # what ends at once would do so again
            _log.error("worker %d (process %d) ended with %d: it is started again", number, worker.process.pid, status)
            worker.hear_no_more()
            try:
                self._start(number, alive, board)
            except OSError as error:
                worker.began = time.monotonic()
                _log.error("worker %d can't be started, which is tried again: %s", number, error)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for worker in [*self._workers.values()]:
            if worker.says is None:
                worker.process.send_signal(signal.SIGHUP)
            else:  # it would end one that does not know it yet
                worker.reload_due = True

    def _end(self) -> None:
        """Let workers answer what is under way."""
        for worker in self._workers.values():
            worker.process.terminate()
        latest = time.monotonic() + _GRACE_SECONDS
        for worker in self._workers.values():
            try:
                worker.process.wait(max(0.0, latest - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
