"""Redis servers of a benchmark's own: on this machine alone, in memory alone, gone afterwards."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def has_redis() -> bool:
    """Whether the program is installed."""
    return shutil.which("redis-server") is not None


@contextmanager
def redis_server() -> Iterator[int]:
    """The port of a new server, which ends with the block."""
    port = _free_port()
    command = [str(shutil.which("redis-server")), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        _await_ready(process, port)
        yield port
    finally:
        process.terminate()
        process.communicate()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _await_ready(process: subprocess.Popen[str], port: int) -> None:
    said = ""
    for line in process.stdout or ():
        if "Ready to accept connections" in line:
            return
        said += line
    raise RuntimeError(f"redis-server did not start on port {port}: {said}")
