"""Running the page of streams, alone or beside a stream."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.platform.context import Context

_GRACE_SECONDS: Final = 1


def run_page(
    context: Context, host: str, port: int, stop: threading.Event, *, announce: Callable[[str], None] = lambda _: None
) -> None:
    """Serve the page of a project's streams until `stop` is set.

    Parameters
    ----------
    context : Context
        The project.
    host : str
        The address to listen at: one of this machine alone, as the page has no authentication.
    port : int
        The port; 0 for any that is free.
    stop : Event
        Ends it, within a second or so.
    announce : callable
        Called with the page's URL once it is there.

    Raises
    ------
    SettingsError
        If other machines could reach the address, or it can't be listened at.
    """
    with _listening(host, port) as listener:
        _serve(context, listener, stop, announce)


@contextmanager
def page_beside(context: Context, host: str, port: int) -> Iterator[str]:
    """Serve the page in a thread of its own while the block runs, and give its URL. See `run_page`."""
    stop, answers = threading.Event(), threading.Event()
    with _listening(host, port) as listener:
        arguments = (context, listener, stop, lambda _: answers.set())
        thread = threading.Thread(target=_serve, args=arguments, name="page of streams", daemon=True)
        thread.start()
        try:
            answers.wait(timeout=10)  # a request would wait as well: the socket listens already
            yield _url(listener)
        finally:
            stop.set()
            thread.join()


def _serve(context: Context, listener: socket.socket, stop: threading.Event, announce: Callable[[str], None]) -> None:
    import uvicorn

    from headrace.platform.stream_status import stream_status
    from headrace.server.stream_page import LOOPBACK_NAMES, page_application

    hosts = [*LOOPBACK_NAMES, listener.getsockname()[0]]
    app = page_application(partial(stream_status, context), context.settings.name, context.clock, hosts=hosts)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="on", ws="none",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )  # fmt: skip

    class Server(uvicorn.Server):
        """Ends when it is told to."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            announce(_url(listener))

        async def on_tick(self, counter: int) -> bool:
            return stop.is_set() or await super().on_tick(counter)

    Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    if not _is_loopback(host):
        raise SettingsError(
            f"the page of streams can't be served at {host}: other machines reach that address, and the page has no "
            "authentication. Serve it at 127.0.0.1, and reach it from elsewhere through a tunnel: "
            f"ssh -L {port or 'PORT'}:127.0.0.1:{port or 'PORT'} this-machine."
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise SettingsError(
            f"the page of streams can't be served at {host}, port {port}: {error}. Take another port (0 for any)."
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # another name, whose address may change
        return False


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
