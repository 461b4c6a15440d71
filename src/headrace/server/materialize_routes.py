"""``POST /materialize`` and ``/materialize-incremental``, as Feast's clients ask: bring views online."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.errors import ConflictError, HeadraceError, TimeError, UnknownNameError
from headrace.platform.materialize import materialize
from headrace.platform.online_loading import is_streamed
from headrace.server.bodies import body_of
from headrace.server.endpoints import Endpoint
from headrace.server.errors import RequestError, status_of
from headrace.types import instant

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.platform.context import Context
    from headrace.server.answering import Answering

_LOCK: Final = "materialize-http"
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Body(msgspec.Struct, frozen=True):
    """The body of both requests. Members that Feast's clients send beside these are passed over."""

    start_ts: str | None = None
    end_ts: str | None = None
    feature_views: list[str] | None = None


def endpoints(answering: Answering) -> list[Endpoint]:
    """What is answered to those who materialize.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    """

    async def answer(request: Request) -> Response:
        body = await body_of(request, answering.door.most_body_bytes, "Name fewer views.")
        asked = parse_materialize(body)
        context = answering.context
        status, told = await run_in_threadpool(_materialized, context, asked.feature_views)
        return Response(msgspec.json.encode(told), status, media_type="application/json")

    paths = ("/materialize", "/materialize-incremental")
    return [Endpoint("POST", path, answer, "materialize") for path in paths]


def parse_materialize(body: bytes) -> _Body:
    """Read a request.

    Raises
    ------
    RequestError
        With 400 for what is no JSON, 422 for what is no such request.
    """
    try:
        members = msgspec.json.decode(body.decode(), type=dict[str, msgspec.Raw])
        found = msgspec.json.decode(body, type=_Body)
    except msgspec.ValidationError as error:
        hint = 'It is {"end_ts": "2026-01-05T08:00:00Z", "feature_views": ["…"]}.'
        raise RequestError(422, f"the request is not as it should be: {error}. {hint}") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no JSON: {error}.") from None
    for name in members.keys() - set(_Body.__struct_fields__):
        if near := get_close_matches(name.lower(), _Body.__struct_fields__, n=1, cutoff=0.8):
            raise RequestError(422, f"the request has a member '{name}'. Did you mean '{near[0]}'?")
    _check_times(found)
    return found


def _check_times(asked: _Body) -> None:
    times = {name: _time(name, text) for name in ("start_ts", "end_ts") if (text := getattr(asked, name)) is not None}
    if len(times) == 2 and times["start_ts"] > times["end_ts"]:
        raise RequestError(422, f"start_ts {asked.start_ts} lies behind end_ts {asked.end_ts}.")


def _time(name: str, text: str) -> int:
    """A time; without a zone it is UTC, as for Feast."""
    for candidate in (text, f"{text}Z"):
        try:
            return instant(candidate)
        except TimeError as error:
            found = error
    raise RequestError(422, f"{name}: {found}")


def _materialized(context: Context, names: list[str] | None) -> tuple[int, dict[str, Any]]:
    """Views one by one; the status is the first failure's."""
    views = _named(context, names) if names else _all(context)
    try:
        with context.lake.lock(_LOCK):
            made = [_one(context, name) for name in views]
    except ConflictError:
        raise RequestError(409, "views are being materialized already. Ask again when that has ended.") from None
    return next((status for status, _ in made if status != 200), 200), {"views": [body for _, body in made]}


def _named(context: Context, names: Iterable[str]) -> list[str]:
    try:
        return [context.definitions.view(name).name for name in dict.fromkeys(names)]
    except UnknownNameError as error:
        raise RequestError(404, str(error)) from None


def _all(context: Context) -> list[str]:
    """Those that are served online, and that no stream writes."""
    views = context.definitions.views.items()
    return [name for name, view in views if view.online and not is_streamed(context, name)]


def _one(context: Context, name: str) -> tuple[int, dict[str, Any]]:
    try:
        done = materialize(context, name)
    except HeadraceError as error:
        status = 409 if isinstance(error, ConflictError) else status_of(error)
        return status, {"view": name, "error": {"type": type(error).__name__, "message": str(error)}}
    body = {"view": name, "version": done.number, "records": done.records, "ended": done.gone, "whole": done.whole}
    return 200, {**body, "seconds": round(done.seconds, 3)}
