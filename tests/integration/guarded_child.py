"""A server of its own process that lets in whom a guard lets in, over TLS, and writes all it can to its log."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from headrace.platform.settings import read_settings
from headrace.server.errors import RequestError, error_response
from headrace.server.security.exposure import check_exposed, is_loopback
from headrace.server.security.guard import Guard, guard_of
from headrace.server.security.refusals import headers_of
from headrace.server.security.settings import security_settings
from headrace.server.security.sites import Sites
from headrace.server.security.tls import tls_of

_log = logging.getLogger("child")


def now_us() -> int:
    """Microseconds UTC."""
    return time.time_ns() // 1_000


class Application:
    """``POST /read`` and ``/push`` for those who may; ``/broken`` fails with what it was sent in its hands."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._sites = Sites.of_loopback()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answered(request)
        except RequestError as error:
            response = error_response(error.status, type(error).__name__, str(error))
            response.headers.update(headers_of(error))
        except ZeroDivisionError:
            _log.exception("%s failed", request.url.path)
            response = error_response(500, "InternalError", "the log says why")
        await response(scope, receive, send)

    async def _answered(self, request: Request) -> Response:
        assert request.client is not None
        headers, peer = request.headers, request.client.host
        self._sites.check(headers.get("host"), headers.get("origin"))
        caller = self._guard.admit(headers.get("authorization"), headers.get("x-api-key"), peer)
        self._guard.check_body(len(await request.body()))
        service = request.query_params.get("service")
        self._guard.allow(caller, "push" if request.url.path == "/push" else "read", service, peer)
        if request.url.path == "/broken":
            return Response(str(len(headers) // 0))
        self._guard.read(caller, service, ["driver_now"], 10, 200, now_us(), peer=peer)
        return Response(msgspec.json.encode({"caller": caller.name, "kind": caller.kind}))


def main(root: Path) -> None:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    settings = security_settings(read_settings(root, os.environ).serve, os.environ)
    check_exposed("0.0.0.0", settings, root, now_us())
    guard = guard_of(settings, root, now_us, exposed=not is_loopback("0.0.0.0"))
    config = uvicorn.Config(
        Application(guard), host="127.0.0.1", port=0, log_config=None, log_level="debug", lifespan="off"
    )
    config.load()
    config.ssl = tls_of(settings, root)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()  # who connects before the server accepts waits, and is not refused
    print(listener.getsockname()[1], flush=True)
    _log.info("%r serves with %r", guard, settings)
    try:
        server.run(sockets=[listener])
    finally:
        guard.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
