"""Several workers at one port: each a process, started again when it ends."""

from __future__ import annotations

import logging
import os
import selectors
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
_QUICK_SECONDS: Final = 2.0
_log: Final = logging.getLogger(__name__)


class WorkerError(HeadraceError):
    """A worker ended before it could answer: the server's log says why."""


@dataclass(slots=True)
class _Worker:
    """One process."""

    process: subprocess.Popen[bytes]
    began: float


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
                announce()
                while not self._stopping:
                    self._look_after(alive, board)
                    time.sleep(_LOOK_SECONDS)
            finally:
                self._end()
                os.close(alive)
                os.close(kept)

    def _start(self, number: int, alive: int, board: str) -> None:
        """Start a worker and wait until it answers."""
        read, ready = os.pipe()
        order = Order(str(self._project), self._host, self._given, self._listener.fileno(), alive, ready, board, number)
        command = [sys.executable, "-m", "headrace.server.worker", msgspec.json.encode(order).decode()]
        passed = (self._listener.fileno(), alive, ready)
        process = subprocess.Popen(command, pass_fds=passed)  # noqa: S603 - this very program
        os.close(ready)
        self._workers[number] = _Worker(process, time.monotonic())
        try:
            if not _said(read) and not self._stopping:
                raise WorkerError(
                    f"worker {number} ended with {process.wait()} before it answered; its message is above."
                )
        finally:
            os.close(read)

    def _look_after(self, alive: int, board: str) -> None:
        for number, worker in [*self._workers.items()]:
            status = worker.process.poll()
            if status is None or self._stopping:
                continue
            _log.error("worker %d (process %d) ended with %d: it is started again", number, worker.process.pid, status)
            if time.monotonic() - worker.began < _QUICK_SECONDS:
                time.sleep(1)  # what ends at once would do so again
            try:
                self._start(number, alive, board)
            except WorkerError as error:
                _log.error("%s", error)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGHUP)

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


def _said(descriptor: int) -> bool:
    """Whether a worker says that it answers, before it ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(_START_SECONDS)) and bool(os.read(descriptor, 1))
