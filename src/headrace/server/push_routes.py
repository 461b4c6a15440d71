"""``POST /push``: rows into the stream of a source, as Feast's clients push them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.responses import Response

from headrace.connectors.log_opening import Logs
from headrace.errors import SettingsError, SourceError, StreamError, UnknownNameError
from headrace.platform.push import push
from headrace.platform.push_report import MOST_TOLD, PushRefusedError, PushReport
from headrace.platform.push_waiting import LOOK_SECONDS, Waiting, told
from headrace.server.bodies import body_of
from headrace.server.endpoints import Endpoint
from headrace.server.errors import RequestError
from headrace.server.push_requests import MOST_ROWS, PushRequest, parse_push

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.platform.context import Context
    from headrace.server.answering import Answering

T = TypeVar("T")

MOST_WAIT_SECONDS: Final = 60.0
_AT_ONCE: Final = 8  # each may wait for a disk or for brokers, and keeps a thread
_MOST_QUEUED: Final = 64


def endpoints(answering: Answering, most_rows: int = MOST_ROWS) -> list[Endpoint]:
    """What is answered to those who push.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    most_rows : int
        How many rows one request may have.
    """
    return [
        Endpoint("POST", "/push", _Pushes(answering, most_rows), "push"),
        Endpoint("POST", "/write-to-online-store", _no_values, "push"),
    ]


async def _no_values(_: Request) -> Response:
    """Feast's remote client writes a view's values here; here they are made from rows, by one writer."""
    raise RequestError(
        422,
        "values of a view are not written: they are made from its source's rows, so that training sees the same. Push "
        'rows: POST /push {"push_source_name": …, "df": …}.',
    )


class _Pushes:
    """Takes pushes, a few at a time."""

    def __init__(self, answering: Answering, most_rows: int) -> None:
        self._answering = answering
        self._most_rows = most_rows
        self._logs = Logs()
        self._limiter: CapacityLimiter | None = None
        self._queued = 0

    async def __call__(self, request: Request) -> Response:
        """Write the rows, and say what came of it."""
        asked = parse_push(await self._body(request), dict(request.query_params), self._most_rows)
        context = self._answering.context
        try:
            report = await self._apart(lambda: self._push(context, asked))
        except PushRefusedError as error:
            return _refused(error)
        if asked.wait_seconds is not None:
            report = await self._waited(context, report, min(asked.wait_seconds, MOST_WAIT_SECONDS))
        return _json(report.plain())

    async def _body(self, request: Request) -> bytes:
        return await body_of(request, self._answering.door.most_body_bytes, "Push fewer rows at once.")

    def _push(self, context: Context, asked: PushRequest) -> PushReport:
        try:
            return push(context, asked.source, asked.rows, partial=asked.partial, logs=self._logs)
        except UnknownNameError as error:
            raise RequestError(404, str(error)) from None
        except PushRefusedError:
            raise
        except SourceError as error:
            raise RequestError(422, str(error)) from None
        except (StreamError, SettingsError) as error:
            raise RequestError(503, str(error)) from error

    async def _waited(self, context: Context, report: PushReport, seconds: float) -> PushReport:
        """As `headrace.platform.push_waiting.waited`, without keeping a thread."""
        began = time.monotonic()
        waiting = Waiting(context, report.source, report.positions)
        while True:
            is_readable, why = await self._apart(waiting.look, is_pushed=True)
            passed = time.monotonic() - began
            if is_readable or why or passed >= seconds:
                return told(report, is_readable, why, passed)
            await asyncio.sleep(min(LOOK_SECONDS, seconds - passed))

    async def _apart(self, work: Callable[[], T], *, is_pushed: bool = False) -> T:
        """Do what may take its time in a thread; refuse it where too many wait for one."""
        if self._queued >= _MOST_QUEUED and not is_pushed:
            raise RequestError(503, f"{self._queued} pushes are under way already. Push again in a moment.")
        if self._limiter is None:
            self._limiter = CapacityLimiter(_AT_ONCE)
        self._queued += 1
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._queued -= 1


def _refused(error: PushRefusedError) -> Response:
    rows = [{"row": r.row, "column": r.column, "reason": r.reason, "found": r.found} for r in error.refused[:MOST_TOLD]]
    body = {"type": type(error).__name__, "message": str(error), "refused_rows": error.refused_rows, "refused": rows}
    return _json({"error": body}, 422)


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
