"""Running the server until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from headrace.errors import SettingsError
from headrace.platform import Platform
from headrace.server.answering import Answering
from headrace.server.app import application
from headrace.server.options import ServeOptions

_GRACE_SECONDS: Final = 10
_BACKLOG: Final = 2048


def run(
    platform: Platform, host: str, port: int, options: ServeOptions, *, announce: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a project until SIGTERM or SIGINT.

    Requests under way are answered first, for at most ten seconds; no new ones are taken.

    Parameters
    ----------
    platform : Platform
        The project.
    host : str
        The address to listen at.
    port : int
        The port; 0 for any that is free.
    options : ServeOptions
        The server's limits.
    announce : callable
        Called with the server's URL once it answers.

    Raises
    ------
    SettingsError
        If the address can't be listened at.
    """
    with _listening(host, port) as listener, Answering(platform, options) as answering:
        config = uvicorn.Config(
            application(answering), log_config=None, access_log=False, server_header=False, lifespan="off", ws="none",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )  # fmt: skip
        server = _Server(config, answering, lambda: announce(_url(listener)))
        # uvicorn stops in good order, then raises the signal again, which would end the process as if it had crashed.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.leave)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, answering: Answering, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._answering, self._ready = answering, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with the desk in front where uvicorn parses with httptools."""
        if getattr(self.config.http_protocol_class, "__name__", "") == "HttpToolsProtocol":
            from headrace.server.front import front_of

            self.config.http_protocol_class = front_of(self._answering.desk())
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is under way, then let go of the store."""
        await super().shutdown(sockets)
        await self._answering.desk().aclose()

    def leave(self, number: int, frame: FrameType | None) -> None:
        """End the process in good order."""
        sys.exit(0)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"the server can't listen at {host}, port {port}: {error}. Take another --port (0 for any) or --host."
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
