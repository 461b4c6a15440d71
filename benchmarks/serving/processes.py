"""A server in processes of its own: when it answers, the processor time it takes, the memory it holds."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

STARTING_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers.

    Parameters
    ----------
    pid : int
        Of its first process.
    url : str
        Where it is.
    """

    pid: int
    url: str

    def cpu_seconds(self) -> float:
        """What it and its workers have used."""
        return sum(_cpu_ticks(pid) for pid in _tree(self.pid)) / _TICKS

    def peak_rss_mb(self) -> float:
        """The most memory of the largest of its processes, in millions of bytes."""
        return max(map(_peak_kib, _tree(self.pid))) * 1024 / 1e6


def free_port() -> int:
    """A port that no one listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


@contextmanager
def server(
    command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    """Run a server in a folder until the block ends; it has answered ``GET /health`` when this begins."""
    url, log = f"http://127.0.0.1:{port}", folder / "serve.log"
    with log.open("w") as written, subprocess.Popen(  # noqa: S603
        command, cwd=folder, env={**os.environ, **environment}, stdout=written, stderr=written
    ) as process:  # fmt: skip
        try:
            _await_answer(process, f"{url}/health", log)
            yield Server(process.pid, url)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_answer(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with _opener.open(url, timeout=2):
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    raise RuntimeError(f"the server did not answer at {url}: {log.read_text()[-2_000:]}")


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
