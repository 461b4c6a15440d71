"""What a client is told when something is wrong: a status, a kind and a message, never a traceback."""

from __future__ import annotations

import math
from typing import Final

import msgspec
from starlette.responses import Response

from headrace.errors import (
    DefinitionError,
    HeadraceError,
    HeldError,
    IncompleteError,
    LakeError,
    NotAppliedError,
    OnlineStoreError,
    OverflowRefusedError,
    RegistryError,
    TimeError,
    TransformError,
)

RETRY_AFTER_SECONDS: Final = 1
_LONGEST_MESSAGE: Final = 2_000
"""In characters: a message quotes what it found, which may be a whole request."""
_STATUSES: Final[tuple[tuple[type[HeadraceError], int], ...]] = (
    (OnlineStoreError, 503),
    (RegistryError, 503),
    (NotAppliedError, 503),
    (LakeError, 503),
    (TransformError, 500),
    (TimeError, 422),
    (DefinitionError, 422),
    (IncompleteError, 422),
    (OverflowRefusedError, 422),
    (HeldError, 409),
)
"""The first that an error is one of counts."""


class RequestError(HeadraceError):
    """A request can't be answered as it is.

    Parameters
    ----------
    status : int
        The HTTP status.
    message : str
        What is wrong, where, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: HeadraceError) -> int:
    """The HTTP status of an error: 500 where it is not the client's fault and won't pass."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def retry_after_seconds(error: HeadraceError, status: int) -> int | None:
    """After how many seconds the client may ask again; None where that would not help."""
    if status not in (429, 503):
        return None
    return max(RETRY_AFTER_SECONDS, math.ceil(getattr(error, "retry_after_seconds", 0)))


def error_body(kind: str, message: str) -> bytes:
    """``{"error": {"type": …, "message": …}}``."""
    told = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"
    return msgspec.json.encode({"error": {"type": kind, "message": told}})


def error_response(status: int, kind: str, message: str) -> Response:
    """An error as a response; with 503, when to ask again.

    Examples
    --------
    >>> error_response(503, "OnlineStoreError", "it is down").headers["retry-after"]
    '1'
    """
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else None
    return Response(error_body(kind, message), status, headers, "application/json")
