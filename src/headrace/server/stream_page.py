"""The page on which streams are watched: how they are now, and how they went in the last quarter of an hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.errors import HeadraceError
from headrace.server.errors import RequestError, error_response
from headrace.server.metrics import CONTENT_TYPE
from headrace.server.stream_history import History
from headrace.server.stream_metrics import metrics_text
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.streaming.status import StreamStatus

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_log: Final = logging.getLogger(__name__)


def page_application(
    read: Callable[[], Sequence[StreamStatus]],
    name: str,
    clock: Callable[[], int],
    *,
    history: History | None = None,
    hosts: Sequence[str] = LOOPBACK_NAMES,
) -> Starlette:
    """The page as an ASGI application.

    Parameters
    ----------
    read : callable
        The statuses of all workers, as `headrace.platform.stream_status.stream_status` gives them. It may raise
        `HeadraceError`.
    name : str
        The project's.
    clock : callable
        Now, in microseconds UTC.
    history : History, optional
        Samples that were taken before.
    hosts : sequence of str
        The names by which it may be asked: another site's page that has its own name lead here is refused.
    """
    page = _Page(read, name, clock, History() if history is None else history)
    routes = [
        Route("/", page.html),
        Route("/status.json", page.status),
        Route("/history.json", page.history),
        Route("/metrics", page.metrics),
    ]
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    return Starlette(
        routes=routes, middleware=[guard], lifespan=page.sampling, exception_handlers={HeadraceError: page.told}
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What each worker said last, and when it was read."""

    at: int
    statuses: Sequence[StreamStatus]


class _Page:
    """What is done on each route."""

    def __init__(
        self, read: Callable[[], Sequence[StreamStatus]], name: str, clock: Callable[[], int], history: History
    ) -> None:
        self._read = read
        self._name = name
        self._clock = clock
        self._history = history
        self._sampled: _Seen | None = None
        self._html = files("headrace.server").joinpath("static", "stream.html").read_bytes()

    @asynccontextmanager
    async def sampling(self, app: Starlette) -> AsyncIterator[None]:
        """Take samples while the application is up."""
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                seen = await self._seen()
                self._history.add(seen.at, seen.statuses)
                self._sampled = seen
            except HeadraceError as error:
                self._sampled = None
                _log.warning("the page of streams takes no sample: %s", error)
            due = max(due + 1, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _seen(self) -> _Seen:
        found = await run_in_threadpool(self._read)
        return _Seen(self._clock(), found)

    async def html(self, request: Request) -> Response:
        """The page itself, which asks for the rest."""
        return Response(self._html, media_type="text/html", headers=_HEADERS)

    async def status(self, request: Request) -> Response:
        """What each worker said last, as of the last sample; with ``?after=`` also the samples after that time."""
        after = _after(request)
        seen = self._sampled or await self._seen()
        streams = [each.plain() for each in seen.statuses]
        found = {"project": self._name, "now_seconds": seen.at / SECOND, "streams": streams}
        return _json(found if after is None else found | {"history": self._history.plain(after)})

    async def history(self, request: Request) -> Response:
        """The samples of the last quarter of an hour, or those after ``?after=``, in seconds since 1970."""
        return _json({"now_seconds": self._clock() / SECOND, "sources": self._history.plain(_after(request) or 0.0)})

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        text = await run_in_threadpool(metrics_text, self._read)
        return Response(text, headers=_HEADERS | {"Content-Type": CONTENT_TYPE})

    async def told(self, request: Request, error: Exception) -> Response:
        """What can't be read, which the page shows."""
        status = error.status if isinstance(error, RequestError) else 503
        return error_response(status, type(error).__name__, str(error))


def _after(request: Request) -> float | None:
    asked = request.query_params.get("after")
    try:
        return None if asked is None else float(asked)
    except ValueError:
        raise RequestError(422, "after= is a number of seconds since 1970.") from None


def _json(found: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(found), media_type="application/json", headers=_HEADERS)
