"""The errors of a request that is not let in, each with the headers that it is told with."""

from __future__ import annotations

import math
from typing import Final

from headrace.server.errors import RequestError

_CHALLENGE: Final = 'Bearer realm="headrace"'


class UnauthorizedError(RequestError):
    """Nobody knows who asks: there is no key or token, or it does not count. Status 401."""

    def __init__(self, message: str) -> None:
        super().__init__(401, message)


class ForbiddenError(RequestError):
    """It is known who asks, and they may not. Status 403."""

    def __init__(self, message: str) -> None:
        super().__init__(403, message)


class TooLargeError(RequestError):
    """A body is longer than what is read. Status 413."""

    def __init__(self, message: str) -> None:
        super().__init__(413, message)


class RateLimitedError(RequestError):
    """Too much was asked for lately. Status 429.

    Parameters
    ----------
    message : str
        What the limit is.
    wait_seconds : float
        How long until it would be answered.
    """

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(429, message)
        self.retry_after_seconds: Final = max(1, math.ceil(wait_seconds))


def headers_of(error: BaseException) -> dict[str, str]:
    """The headers that an error's answer needs beside its body.

    Examples
    --------
    >>> headers_of(RateLimitedError("too much", 0.2))
    {'Retry-After': '1'}
    >>> headers_of(UnauthorizedError("who asks?"))
    {'WWW-Authenticate': 'Bearer realm="headrace"'}
    """
    if isinstance(error, RateLimitedError):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {"WWW-Authenticate": _CHALLENGE} if isinstance(error, UnauthorizedError) else {}
