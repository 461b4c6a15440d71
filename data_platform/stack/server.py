"""A server process in a folder of its own: what Kafka and Redis have in common."""

from __future__ import annotations

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from data_platform.stack import ports, processes
from data_platform.stack.errors import StackError
from data_platform.stack.locking import locked

__all__ = ["Server"]

_POLL_SECONDS: Final = 0.05
_PORT_SECONDS: Final = 1.0  # a server that was killed elsewhere may hold it for a moment
_LOG_LINES: Final = 15


@dataclass(frozen=True, slots=True)
class _Process:
    """What a pid file says."""

    pid: int
    port: int


class Server(ABC):
    """A server that listens on the loopback interface and keeps all it writes in one folder.

    It runs until it is stopped, also when the program that started it ends. Another `Server` of the same folder
    finds it by its pid file.

    Parameters
    ----------
    folder : Path
        For settings, data, log and pid file; it is made.
    port : int, optional
        The port; without it that of the server which runs in the folder, or a free one.
    settings : mapping of str to str, optional
        Settings in the server's own names, in place of the stack's.
    """

    name: ClassVar[str]
    ports_needed: ClassVar[int] = 1  # in a row, from `port`
    start_seconds: ClassVar[float] = 60.0
    stop_seconds: ClassVar[float] = 20.0

    def __init__(self, folder: Path, port: int | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.settings = dict(settings or {})
        self._wanted_port = port
        self.port = port or self.running_port or ports.free_port(self.ports_needed)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{ports.HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The file with what the server says."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int | None:
        """The number of the process that runs in the folder; None if there is none."""
        running = self._running()
        return None if running is None else running.pid

    @property
    def running_port(self) -> int | None:
        """The port of the process that runs in the folder; None if there is none."""
        running = self._running()
        return None if running is None else running.port

    def start(self) -> Self:
        """Start the server on the data that its folder holds, unless it runs, and wait until it answers.

        Raises
        ------
        StackError
            If a program is missing, the port is taken, the server ends or does not answer in time.
        """
        with locked(self.folder / "lock"):
            running = self._running()
            if running is None or not self._found(running):
                self._start_anew()
        return self

    def stop(self) -> bool:
        """End the server in good order; False if it did not run."""
        pid = self.pid
        if pid is not None:
            processes.end(pid, self._marker, self.stop_seconds)
        self._pid_file.unlink(missing_ok=True)
        return pid is not None

    def kill(self) -> None:
        """End the server at once, without a word to it, and wait until its ports are free."""
        pid = self.pid
        if pid is not None:
            processes.send(pid, signal.SIGKILL)
            processes.has_ended_within(pid, self._marker, self.stop_seconds)
        self._pid_file.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let the server stand still: connections stay open, and nothing is answered."""
        processes.send(self._running_pid(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        processes.send(self._running_pid(), signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    @abstractmethod
    def settings_file(self) -> Path:
        """The file with the server's settings."""

    @abstractmethod
    def answers(self, timeout_seconds: float = 1.0) -> bool:
        """Whether the server answers a request."""

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Write the settings, and return the command that starts the server; its last words name `settings_file`."""

    @property
    def _marker(self) -> str:
        return str(self.settings_file)

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.pid"

    def _running(self) -> _Process | None:
        """The process that runs in the folder; None if its pid file is not there, torn or stale."""
        try:
            found = _Process(*map(int, self._pid_file.read_text(encoding="ascii").split()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return found if processes.is_running(found.pid, self._marker) else None

    def _running_pid(self) -> int:
        pid = self.pid
        if pid is None:
            raise StackError(f"{self.name} does not run in {self.folder}: start it first")
        return pid

    def _found(self, running: _Process) -> bool:
        """Wait until the process that runs in the folder answers; False if it was just ending."""
        if self._wanted_port not in {None, running.port}:
            raise StackError(
                f"{self.name} runs in {self.folder} on port {running.port}, and can't be started on "
                f"{self._wanted_port} as well. Stop it first, or name another folder."
            )
        self.port = running.port
        return self._answers_in_time(running.pid)

    def _start_anew(self) -> None:
        for port in range(self.port, self.port + self.ports_needed):
            if not ports.becomes_free(port, _PORT_SECONDS):
                raise StackError(self._taken(port))
        pid = processes.spawn(self._prepare(), self.log)
        self._pid_file.write_text(f"{pid}\n{self.port}\n", encoding="ascii")
        with ExitStack() as undo:
            undo.callback(self.kill)
            if not self._answers_in_time(pid):
                raise StackError(f"{self.name} ended while it started. {self._last_words()}")
            undo.pop_all()

    def _taken(self, port: int) -> str:
        needed = f"{self.port}" if self.ports_needed == 1 else f"{self.port} to {self.port + self.ports_needed - 1}"
        return (
            f"{self.name} can't listen on {ports.HOST}:{port}: another program does. It needs port {needed}. "
            f"End that program, or choose another port: --{self.name.lower()}-port, "
            f"or HEADRACE_STACK_{self.name.upper()}_PORT."
        )

    def _answers_in_time(self, pid: int) -> bool:
        """Wait until the server answers; False if it ended meanwhile."""
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            if not processes.is_running(pid, self._marker):
                return False
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.name} (process {pid}) does not answer on {self.address} within {self.start_seconds:.0f} s. "
                    f"{self._last_words()}"
                )
            time.sleep(_POLL_SECONDS)
        return True

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
        except FileNotFoundError:
            lines = []
        return "\n".join([f"The end of {self.log}:", *lines])
