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
    from headrace.server import materialize_routes, openapi_routes, page_routes, push_routes, v1_routes

    modules = (page_routes, push_routes, materialize_routes, v1_routes, openapi_routes)
    return [endpoint for module in modules for endpoint in module.endpoints(answering)]
