"""``headrace serve`` with some workers, which may be killed; a server that ends as a whole is started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from data_platform.stack.ports import free_port

ROOT: Final = Path(__file__).parents[2]
_STARTING_SECONDS: Final = 30.0


class Served:
    """A server of a project."""

    def __init__(self, root: Path, online: str, workers: int, log: Path) -> None:
        self.port = free_port()
        self._command = [sys.executable, "-m", "headrace", "serve", "--port", str(self.port), "--project", str(root)]
        self._command += ["--workers", str(workers)] if workers > 1 else []
        self._environment = {**os.environ, "HEADRACE_ONLINE": online}
        self._log = log.open("ab")
        self._start()

    def kill_worker(self, chosen: random.Random) -> bool:
        """Kill a worker; a server without workers is killed itself, and started again: whether that was so."""
        workers = self.workers()
        if workers:
            os.kill(chosen.choice(workers), signal.SIGKILL)
            return False
        self._process.kill()
        self._process.wait()
        self._start()
        return True

    def workers(self) -> list[int]:
        """The processes below the first, without those that only watch over its resources."""
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in path.read_text().split() if b"resource_tracker" not in _command_line(pid)]

    def stop(self) -> int:
        """End it in good order; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(20)
        finally:
            self._process.kill()
            self._log.close()

    def _start(self) -> None:
        log, before = self._log, Path(self._log.name).stat().st_size
        self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _STARTING_SECONDS
        while not self._has_announced(before):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start; see {self._log.name}")
            time.sleep(0.02)

    def _has_announced(self, before: int) -> bool:
        """Whether all workers answer: it says so then, after what is in its log already."""
        return b"headrace serves" in Path(self._log.name).read_bytes()[before:]


def takes_workers() -> bool:
    """Whether ``headrace serve`` can have several."""
    command = [sys.executable, "-m", "headrace", "serve", "--help"]
    wide = {**os.environ, "COLUMNS": "200"}
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=wide)
    return "--workers" in told.stdout


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b"resource_tracker"
