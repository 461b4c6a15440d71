"""One of several workers, as a process of its own: ``python -m headrace.server.worker``, started by the server."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from headrace.server.board import Board
from headrace.server.setup import Setup
from headrace.server.working import work


class Order(msgspec.Struct, frozen=True):
    """What a worker is told when it is started.

    Parameters
    ----------
    project, host : str
        The project's folder, and the address that the socket listens at.
    given : mapping
        What the command line says.
    listener, alive, ready : int
        Descriptors: the socket, a pipe that ends with the parent, and one to say that it answers.
    board : str
        The folder of what workers count.
    number : int
        The worker's place.
    """

    project: str
    host: str
    given: dict[str, Any]
    listener: int
    alive: int
    ready: int
    board: str
    number: int


def main() -> None:
    """Serve as ordered."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    order = msgspec.json.decode(sys.argv[1], type=Order)
    setup = Setup.read(Path(order.project), order.host, order.given)
    with socket.socket(fileno=order.listener) as listener:
        work(setup, listener, lambda: _say(order.ready), Board(Path(order.board), order.number), order.alive)


def _say(descriptor: int) -> None:
    os.write(descriptor, b"1")
    os.close(descriptor)


if __name__ == "__main__":
    main()
