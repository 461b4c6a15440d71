"""One worker: an event loop that answers at a socket until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from headrace.server.answering import Answering
from headrace.server.app import application
from headrace.server.board import Board
from headrace.server.reloading import Reloader
from headrace.server.routes import all_endpoints
from headrace.server.setup import Setup

_GRACE_SECONDS: Final = 10
_BEAT_SECONDS: Final = 1.0
_GC_OBJECTS: Final = 50_000
"""Requests leave no cycles behind: to look for some every 700 objects is a tenth of the work."""


def work(
    setup: Setup, listener: socket.socket, ready: Callable[[], None], board: Board, alive: int | None = None
) -> None:
    """Answer until SIGTERM or SIGINT. Requests under way are answered first, for at most ten seconds.

    Parameters
    ----------
    setup : Setup
        What is served.
    listener : socket
        Where; others may listen there as well.
    ready : callable
        Called once it answers.
    board : Board
        What the workers of one server know of each other.
    alive : int, optional
        The reading end of a pipe that ends when the parent process does, and this process then too.
    """
    with Answering(setup.platform, setup.options, setup.door(), setup.notes()) as answering:
        answering.metrics.restore(board.own())
        answering.metrics.others, answering.metrics.tell = board.others, board.write
        config = uvicorn.Config(
            application(answering, all_endpoints(answering)), log_config=None, access_log=False, server_header=False,
            lifespan="off", ws="none", proxy_headers=False, timeout_graceful_shutdown=_GRACE_SECONDS,
        )  # fmt: skip
        server = _Server(config, setup, answering, board, ready, alive)
        # uvicorn stops in good order, then raises the signal again, which would end the process as if it had crashed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.leave)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it answers, and looks after what changes meanwhile."""

    def __init__(
        self,
        config: uvicorn.Config,
        setup: Setup,
        answering: Answering,
        board: Board,
        ready: Callable[[], None],
        alive: int | None,
    ) -> None:
        super().__init__(config)
        self._answering, self._board, self._ready, self._alive = answering, board, ready, alive
        self._certificate = setup.certificate()
        self._reloader = Reloader(answering, setup.platform.context.root, is_watching=setup.options.watch)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with the desk in front where uvicorn parses with httptools."""
        if getattr(self.config.http_protocol_class, "__name__", "") == "HttpToolsProtocol":
            from headrace.server.front import front_of

            self.config.http_protocol_class = front_of(self._answering.desk())
        if self._certificate is not None:
            self.config.ssl = self._certificate.context
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._reloader.now)
        if self._alive is not None:
            loop.add_reader(self._alive, self._orphaned)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_OBJECTS)
        self._beat(loop)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is under way, then let go of the store."""
        await super().shutdown(sockets)
        await self._answering.desk().aclose()
        self._answering.metrics.told()

    def leave(self, number: int, frame: FrameType | None) -> None:
        """End the process in good order."""
        sys.exit(0)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second: tell other workers what was counted, and look whether files have changed."""
        loop.call_later(_BEAT_SECONDS, self._beat, loop)  # first, as it goes on whatever happens here
        self._answering.notes.count(self._answering)
        self._answering.metrics.told()
        self._reloader.look()
        if self._certificate is not None:
            self._certificate.look()

    def _orphaned(self) -> None:
        """The parent has ended: nobody would restart or stop this process."""
        if self._alive is not None and not os.read(self._alive, 1):
            asyncio.get_running_loop().remove_reader(self._alive)
            self.should_exit = True
