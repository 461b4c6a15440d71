"""``GET /openapi.json``: made of the definitions as they are now, and again once they are others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from headrace.server.endpoints import Endpoint
from headrace.server.openapi import document
from headrace.server.openapi_services import is_served
from headrace.server.replies import JSON
from headrace.server.v1_catalogue import heads_or_none

if TYPE_CHECKING:
    from starlette.requests import Request

    from headrace.definitions.project import Definitions
    from headrace.platform.context import Context
    from headrace.server.answering import Answering
    from headrace.timeline.packed import Layout

_FIRST: Final[tuple[Definitions | None, dict[str, Layout], bytes]] = None, {}, b""


class Described:
    """The server's description, kept as long as nothing that it tells of has changed.

    Parameters
    ----------
    most_rows : int
        How many entities one request may ask for.
    """

    def __init__(self, most_rows: int) -> None:
        self._most_rows = most_rows
        self._made = _FIRST

    def json(self, context: Context) -> bytes:
        """The document.

        Parameters
        ----------
        context : Context
            The project as it is now.
        """
        definitions = context.definitions
        heads = heads_or_none(context, [each for each in definitions.services.values() if is_served(each)])
        layouts = {view: head.layout for view, head in heads.items()}
        known, known_layouts, text = self._made
        if known is not definitions or known_layouts != layouts:
            text = msgspec.json.encode(document(definitions, context.settings.name, self._most_rows, heads))
            self._made = definitions, layouts, text
        return text


def endpoints(answering: Answering) -> list[Endpoint]:
    """Where the description is.

    Parameters
    ----------
    answering : Answering
        What answers for one project.
    """
    described = Described(answering.options.most_rows)

    async def openapi(_: Request) -> Response:
        return Response(await run_in_threadpool(described.json, answering.context), media_type=JSON)

    return [Endpoint("GET", "/openapi.json", openapi, "read")]
