"""The paths under ``/v1/``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.server import v1_catalogue
from headrace.server.bodies import body_of
from headrace.server.door import client_of
from headrace.server.endpoints import SERVICES, Endpoint, Handler
from headrace.server.notes import Read
from headrace.server.replies import JSON
from headrace.server.requests import FeatureRequest
from headrace.server.v1_answers import features
from headrace.server.v1_forms import EntitiesRequest, FeaturesRequest, read
from headrace.server.v1_lineage import lineage

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.platform.online_answer import OnlineAnswer
    from headrace.server.answering import Answering, Project
    from headrace.server.asked import Asked

Answer = Callable[["Project", str, bytes], "tuple[Any, Values | None]"]
"""From the project, the path's name and the body to what is answered, and the values that were read for it."""


class Values(NamedTuple):
    """What was read for an answer, and whether it is of the request's own time."""

    answer: OnlineAnswer
    is_present: bool


_features: Final = msgspec.json.Decoder(FeaturesRequest)
_entities: Final = msgspec.json.Decoder(EntitiesRequest)


def endpoints(answering: Answering) -> list[Endpoint]:
    """What is answered under ``/v1/``.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    """

    def values(project: Project, name: str, body: bytes) -> tuple[Any, Values]:
        asked = read(_features, body)
        told, found = features(project, name, asked, answering.options.most_rows)
        return told, Values(found, asked.at is None)

    def traced(project: Project, name: str, body: bytes) -> tuple[Any, Values]:
        asked = read(_entities, body)
        told, found = lineage(project, name, asked)
        return told, Values(found, asked.at is None)

    answers: list[tuple[Literal["GET", "POST"], str, Answer]] = [
        ("POST", "/v1/features/{service}", values),
        ("POST", "/v1/lineage/{service}", traced),
        ("GET", "/v1/services/{service}", lambda project, name, _: (v1_catalogue.service(project.context, name), None)),
        (
            "GET",
            "/v1/views/{view}/versions",
            lambda project, name, _: (v1_catalogue.versions(project.context, name), None),
        ),
    ]

    async def services(request: Request) -> Response:
        own = request.state.caller.services  # who may read some alone is told those
        return Response(msgspec.json.encode(v1_catalogue.services(answering.context, own)), media_type=JSON)

    every = [Endpoint(method, path, _handler(answering, answer), "read") for method, path, answer in answers]
    return [*every, Endpoint("GET", SERVICES, services, "read")]


def _handler(answering: Answering, answer: Answer) -> Handler:
    async def handler(request: Request) -> Response:
        if request.method == "POST":
            answering.desk().breaker.check()  # a store that does not answer would hold a thread for each who asks
        body = await body_of(request, answering.door.most_body_bytes, "Ask for fewer entities.")
        name = next(iter(request.path_params.values()), "")
        project = answering.project  # as it is now: definitions may be replaced between two requests
        text, found = await run_in_threadpool(_encoded, answer, project, name, body)
        if found is not None:
            asked = project.asked.of(FeatureRequest(feature_service=name))
            _note(answering, request, asked, found)
        return Response(text, media_type=JSON)

    return handler


def _note(answering: Answering, request: Request, asked: Asked, found: Values) -> None:
    """Charge the caller, and note who read what, as of requests that came by the shortest way."""
    caller, client = request.state.caller, client_of(request)
    n_rows = len(found.answer.rows)
    answering.door.charge(caller, client, n_rows)
    request_id = answering.notes.request_id(dict(request.headers.raw))
    noted = Read(
        asked, caller, client, asked.name, n_rows, request_id, is_present=found.is_present, route=request.url.path
    )
    answering.notes.served(answering, noted, found.answer)


def _encoded(answer: Answer, project: Project, name: str, body: bytes) -> tuple[bytes, Values | None]:
    told, found = answer(project, name, body)
    return msgspec.json.encode(told), found
