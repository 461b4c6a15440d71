"""What can go wrong, as a tree.

- `HeadraceClientError`: all of it.
    - `InvalidRequest`: the request can't be answered as it is; another try would not help.
    - `NotFound`: there is no such service, view or feature; says the nearest names.
    - `Unauthorized`: who asks is not known, or may not.
    - `Overloaded`: the server has too much to do, or was asked too often; says when to ask again.
    - `Unavailable`: it can't be reached, or what it needs can't.
        - `DeadlineExceeded`: it did not answer in time.
    - `ServerFailed`: it answered with what is no answer.
"""

from __future__ import annotations

from typing import Any


class HeadraceClientError(Exception):
    """The root of what this package raises.

    Parameters
    ----------
    message : str
        What failed, and what to do; the server's own words where it said some.
    status : int, optional
        The HTTP status; None where there was no answer.
    kind : str
        The server's name of the error, such as ``OnlineStoreError``; else empty.

    Attributes
    ----------
    details : dict
        What else the server said, such as the ``refused`` rows of a push.
    """

    def __init__(self, message: str, *, status: int | None = None, kind: str = "") -> None:
        super().__init__(message)
        self.details: dict[str, Any] = {}
        self.message = message
        self.status = status
        self.kind = kind


class InvalidRequest(HeadraceClientError):  # noqa: N818 - named after what happened
    """The request is wrong: a column is missing or of another type, a value can't be sent, there is too much."""


class NotFound(HeadraceClientError):  # noqa: N818
    """There is no such service, view or feature.

    Parameters
    ----------
    message, status, kind
        As of `HeadraceClientError`.
    nearest : tuple of str
        Names that there are and that look like it, the nearest first.
    """

    def __init__(
        self, message: str, *, status: int | None = None, kind: str = "", nearest: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, status=status, kind=kind)
        self.nearest = nearest


class Unauthorized(HeadraceClientError):  # noqa: N818
    """There is no key or token, it does not count (401), or it does not allow this (403)."""


class Overloaded(HeadraceClientError):  # noqa: N818
    """The server has more to do than it can, or the caller asks more often than it may.

    Parameters
    ----------
    message, status, kind
        As of `HeadraceClientError`.
    retry_after_seconds : float, optional
        When to ask again, as the server says.
    """

    def __init__(
        self, message: str, *, status: int | None = None, kind: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, status=status, kind=kind)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(HeadraceClientError):  # noqa: N818
    """The server, or something that it needs, can't be reached now."""


class DeadlineExceeded(Unavailable):
    """There was no whole answer within the time that the call may take."""


class ServerFailed(HeadraceClientError):  # noqa: N818
    """The server has a defect, or what answers is no feature server."""
