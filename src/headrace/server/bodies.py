"""What was sent, of which no more is kept than is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.server.errors import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request


async def body_of(request: Request, most_bytes: int, hint: str) -> bytes:
    """A request's body.

    Parameters
    ----------
    request : Request
        The request.
    most_bytes : int
        How long it may be.
    hint : str
        What to do where it is longer.

    Raises
    ------
    RequestError
        With 413, if it is longer.
    """
    parts, n_bytes = [], 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > most_bytes:
            raise RequestError(413, f"the body is longer than {most_bytes:,} bytes. {hint}")
        parts.append(part)
    return b"".join(parts)
