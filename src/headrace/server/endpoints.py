"""What is answered where, and who may ask: one endpoint a path, made by the module that knows how."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import Response

SERVICES: Final = "/v1/services"
"""The list of services: who may read some alone is told those."""
Handler = Callable[[Request], Awaitable[Response]]
Right = Literal["read", "push", "materialize", "admin", "anyone"]
"""What a caller must be allowed: to read features, push rows, materialize, see what is going on; or nothing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path.

    Parameters
    ----------
    method, path : str
        As of HTTP; a path may have Starlette's parameters.
    handler : callable
        What answers. It may raise `HeadraceError`, which is told with its status.
    right : str
        What a caller needs, where the server asks who it is.
    """

    method: str
    path: str
    handler: Handler
    right: Right
