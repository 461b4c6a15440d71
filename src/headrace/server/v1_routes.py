"""The paths under ``/v1/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.server import v1_catalogue
from headrace.server.endpoints import Endpoint, Handler
from headrace.server.errors import RequestError
from headrace.server.replies import JSON
from headrace.server.v1_answers import features
from headrace.server.v1_forms import EntitiesRequest, FeaturesRequest, read
from headrace.server.v1_lineage import lineage

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.platform.context import Context
    from headrace.server.answering import Answering

Answer = Callable[["Context", str, bytes], Any]
"""From the project, the path's name and the body to what is answered."""
_features: Final = msgspec.json.Decoder(FeaturesRequest)
_entities: Final = msgspec.json.Decoder(EntitiesRequest)


def endpoints(answering: Answering) -> list[Endpoint]:
    """What is answered under ``/v1/``.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    """

    def values(context: Context, name: str, body: bytes) -> Any:
        return features(context, name, read(_features, body), answering.options.most_rows)

    def traced(context: Context, name: str, body: bytes) -> Any:
        return lineage(context, name, read(_entities, body))

    answers: list[tuple[Literal["GET", "POST"], str, Answer]] = [
        ("POST", "/v1/features/{service}", values),
        ("POST", "/v1/lineage/{service}", traced),
        ("GET", "/v1/services", lambda context, _, __: v1_catalogue.services(context)),
        ("GET", "/v1/services/{service}", lambda context, name, _: v1_catalogue.service(context, name)),
        ("GET", "/v1/views/{view}/versions", lambda context, name, _: v1_catalogue.versions(context, name)),
    ]
    return [Endpoint(method, path, _handler(answering, answer), "read") for method, path, answer in answers]


def _handler(answering: Answering, answer: Answer) -> Handler:
    async def handler(request: Request) -> Response:
        if request.method == "POST":
            answering.desk().breaker.check()  # a store that does not answer would hold a thread for each who asks
        body = await _body(request, answering.door.most_body_bytes)
        name = next(iter(request.path_params.values()), "")
        # Of the project as it is now: definitions may be replaced between two requests.
        return Response(await run_in_threadpool(_encoded, answer, answering.context, name, body), media_type=JSON)

    return handler


async def _body(request: Request, most_bytes: int) -> bytes:
    """What was sent, of which no more is kept than is allowed."""
    parts, n_bytes = [], 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > most_bytes:
            raise RequestError(413, f"the body is longer than {most_bytes:,} bytes. Ask for fewer entities.")
        parts.append(part)
    return b"".join(parts)


def _encoded(answer: Answer, context: Context, name: str, body: bytes) -> bytes:
    return msgspec.json.encode(answer(context, name, body))
