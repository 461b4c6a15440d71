"""Running the server until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from headrace.errors import SettingsError
from headrace.server.board import Board
from headrace.server.setup import Setup
from headrace.server.supervising import Supervisor
from headrace.server.working import work

_BACKLOG: Final = 2048


def run(project: Path, host: str, port: int, given: Mapping[str, Any], announce: Callable[[str, str], None]) -> None:
    """Serve a project until SIGTERM or SIGINT.

    Requests under way are answered first, for at most ten seconds; no new ones are taken.

    Parameters
    ----------
    project : Path
        The project's folder.
    host : str
        The address to listen at.
    port : int
        The port; 0 for any that is free.
    given : mapping
        Settings of ``[serve]`` that count more than those of the project's file.
    announce : callable
        Called with the project's name and the server's URL once it answers.

    Raises
    ------
    SettingsError
        If a setting is wrong, the address can't be listened at, or may not be without keys and TLS.
    """
    setup = Setup.read(project, host, given)
    name = setup.platform.context.settings.name
    with _listening(host, port) as listener:
        url = _url(listener, "https" if setup.security.has_tls else "http")
        if setup.options.workers == 1:
            work(setup, listener, lambda: announce(name, url), Board(None))
        else:
            Supervisor(project, host, listener, given).run(setup.options.workers, lambda: announce(name, url))


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"the server can't listen at {host}, port {port}: {error}. Take another --port (0 for any) or --host."
        ) from error


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
