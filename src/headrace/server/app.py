"""The routes, and how what goes wrong on one is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.errors import HeadraceError
from headrace.server.bodies import body_of
from headrace.server.door import client_of
from headrace.server.endpoints import SERVICES, Endpoint, Handler
from headrace.server.errors import error_response
from headrace.server.metrics import CONTENT_TYPE
from headrace.server.replies import Reply, refusal

if TYPE_CHECKING:
    from headrace.server.answering import Answering
    from headrace.server.security.caller import Caller

_CLIENT_WENT: Final = 499
"""As others count it; nobody reads the answer."""
_JSON: Final = "application/json"
_log: Final = logging.getLogger(__name__)


def application(answering: Answering, more: Sequence[Endpoint] = ()) -> Starlette:
    """The server as an ASGI application.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    more : sequence of Endpoint
        What is answered beside features, health and metrics.
    """
    own = _Endpoints(answering)
    endpoints = [
        Endpoint("POST", "/get-online-features", own.features, "read"),
        Endpoint("GET", "/health", own.health, "anyone"),
        Endpoint("GET", "/ready", own.ready, "anyone"),
        Endpoint("GET", "/metrics", own.metrics, "admin"),
        *more,
    ]
    routes = [own.route(endpoint) for endpoint in endpoints]
    return Starlette(routes=routes, exception_handlers={HTTPException: _NoRoute(answering, endpoints)})


class _NoRoute:
    """An unknown path, or a known one asked in the wrong way."""

    def __init__(self, answering: Answering, endpoints: Sequence[Endpoint]) -> None:
        self._answering = answering
        self._known = ", ".join(f"{each.method} {each.path}" for each in endpoints)

    async def __call__(self, request: Request, error: Exception) -> Response:
        """What there is instead."""
        if not isinstance(error, HTTPException):
            raise error
        self._answering.metrics.answered("other", error.status_code, 0.0)
        message = f"{request.method} {request.url.path}: {error.detail}. There are {self._known}."
        response = error_response(error.status_code, "NoRouteError", message)
        response.headers.update(error.headers or {})
        return response


class _Endpoints:
    """What the server itself answers."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def route(self, wanted: Endpoint) -> Route:
        """A route whose requests are counted, and whose errors are told."""

        async def endpoint(request: Request) -> Response:
            began = time.perf_counter()
            response = await _answered(partial(self._let_in, wanted), request)
            if wanted.handler != self.features:  # which counts by itself
                self._answering.metrics.answered(wanted.path, response.status_code, time.perf_counter() - began)
            return response

        return Route(wanted.path, endpoint, methods=[wanted.method])

    async def _let_in(self, wanted: Endpoint, request: Request) -> Response:
        """Ask who it is, unless that is done elsewhere, or anybody may."""
        door = self._answering.door
        if wanted.handler == self.features:  # the desk asks
            return await wanted.handler(request)
        headers, client = dict(request.headers.raw), client_of(request)
        if wanted.right == "anyone":
            door.check_site(headers)
        else:
            caller = door.enter(headers, client)
            door.allow(caller, wanted.right, _service_of(request, caller), client)
            request.state.caller = caller
        return await wanted.handler(request)

    async def features(self, request: Request) -> Response:
        """Features of some entities, for who did not come by the shortest way."""
        said: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        client = client_of(request)
        body = await body_of(request, self._answering.door.most_body_bytes, "Ask for fewer entities.")
        headers = dict(request.headers.raw)
        self._answering.desk().features(headers, request.url.query, body, client, partial(_say, said))
        return _response(await said)

    async def health(self, request: Request) -> Response:
        """Answering at all is the answer."""
        return Response(msgspec.json.encode({"status": "up"}), media_type=_JSON)

    async def ready(self, request: Request) -> Response:
        """Whether requests can be answered, and why not."""
        reasons = await run_in_threadpool(self._answering.not_ready)
        body = msgspec.json.encode({"ready": not reasons, "reasons": reasons})
        return Response(body, 503 if reasons else 200, media_type=_JSON)

    async def metrics(self, request: Request) -> Response:
        """For Prometheus."""
        metrics = self._answering.metrics
        text = await run_in_threadpool(metrics.text, metrics.told())
        return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _service_of(request: Request, caller: Caller) -> str | None:
    """The service that a path names; for the list of all, one that the caller may read, as it is told those alone."""
    if request.url.path == SERVICES and caller.services:
        return min(caller.services)
    name: str | None = request.path_params.get("service")
    return name


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers), reply.media_type)


def _say(said: asyncio.Future[Reply], reply: Reply) -> None:
    if not said.done():  # else the client went meanwhile
        said.set_result(reply)


async def _answered(handler: Handler, request: Request) -> Response:
    try:
        return await handler(request)
    except HeadraceError as error:
        reply = refusal(error)
        if reply.status >= 500:
            _log.warning("%s: %s", request.url.path, error)
        return _response(reply)
    except ClientDisconnect:
        return Response(status_code=_CLIENT_WENT)
    except Exception:  # noqa: BLE001 - a defect here must not end other requests; its traceback is for the log alone
        _log.exception("%s failed", request.url.path)
        return error_response(500, "InternalError", "the server failed to answer; its log says why.")
