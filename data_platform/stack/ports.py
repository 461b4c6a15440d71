"""Ports of the loopback interface."""

from __future__ import annotations

import os
import random
import socket
import time
from typing import Final

from data_platform.stack.errors import StackError

__all__ = ["HOST", "accepts", "becomes_free", "free_port", "is_taken", "parse_port", "port_of_environment"]

HOST: Final = "127.0.0.1"

# Below the ports that the system hands to outgoing connections: none of them takes the port of a server that was
# killed, and no client that dials a dead port is connected to itself.
_FREE: Final = range(20_000, 32_000)
_ATTEMPTS: Final = 200
_POLL_SECONDS: Final = 0.02


def is_taken(port: int) -> bool:
    """Whether a program listens on a port; connections that are just closing do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def becomes_free(port: int, timeout_seconds: float) -> bool:
    """Wait until nobody listens on a port; False if somebody still does at last."""
    deadline = time.monotonic() + timeout_seconds
    while is_taken(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def accepts(port: int, timeout_seconds: float = 1.0) -> bool:
    """Whether a server accepts connections on a port."""
    try:
        with socket.create_connection((HOST, port), timeout_seconds):
            return True
    except OSError:
        return False


def free_port(count: int = 1) -> int:
    """A port that nobody listens on, nor on the ``count - 1`` behind it.

    Raises
    ------
    StackError
        If none was found.
    """
    choice = random.SystemRandom()
    for _ in range(_ATTEMPTS):
        port = choice.choice(_FREE)
        if not any(map(is_taken, range(port, port + count))):
            return port
    raise StackError(f"no {count} free ports in a row were found between {_FREE.start} and {_FREE.stop} on {HOST}")


def parse_port(text: str) -> int:
    """Read a port; the one behind it has to be one too.

    Raises
    ------
    StackError
        If it is none.
    """
    if not text.isdecimal() or not 0 < int(text) < 65_535:
        raise StackError(f"'{text}' is no port: name one between 1 and 65534")
    return int(text)


def port_of_environment(variable: str) -> int | None:
    """The port that an environment variable names; None if it is not set.

    Raises
    ------
    StackError
        If it is no port.
    """
    text = os.environ.get(variable, "").strip()
    try:
        return parse_port(text) if text else None
    except StackError as error:
        raise StackError(f"{variable}: {error}, or unset it") from error
