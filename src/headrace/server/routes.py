"""All that the server answers beside features, health and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.server.answering import Answering
    from headrace.server.endpoints import Endpoint


def all_endpoints(answering: Answering) -> list[Endpoint]:
    """The endpoints of every module, in the order in which they are told.

    Parameters
    ----------
    answering : Answering
        What answers for the project.
    """
    from headrace.server import openapi_routes, v1_routes

    return [*v1_routes.endpoints(answering), *openapi_routes.endpoints(answering)]
