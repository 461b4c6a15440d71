"""What is sent back: a status, a type and a body, below any framework."""

from __future__ import annotations

from typing import Final, NamedTuple

from headrace.errors import HeadraceError
from headrace.server.errors import error_body, retry_after_seconds, status_of
from headrace.server.security.refusals import UnauthorizedError, headers_of

JSON: Final = "application/json"


class Reply(NamedTuple):
    """An answer to a request.

    Parameters
    ----------
    body : bytes
        What is sent.
    media_type : str
        What it is.
    status : int
        As of HTTP.
    headers : tuple of (str, str)
        Further ones.
    """

    body: bytes
    media_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def refusal(error: HeadraceError) -> Reply:
    """How an error is told: its status, its kind and its message; with 429 and 503, when to ask again.

    Examples
    --------
    >>> from headrace.errors import OnlineStoreError
    >>> refusal(OnlineStoreError("it is down")).headers
    (('retry-after', '1'),)
    """
    status = status_of(error)
    wait = retry_after_seconds(error, status)
    headers: tuple[tuple[str, str], ...] = () if wait is None else (("retry-after", str(wait)),)
    if isinstance(error, UnauthorizedError):
        headers = (*headers_of(error).items(),)
    return Reply(error_body(type(error).__name__, str(error)), JSON, status, headers)


def defect() -> Reply:
    """How a defect of the server is told: its traceback is for the log alone."""
    return Reply(error_body("InternalError", "the server failed to answer; its log says why."), JSON, 500)
