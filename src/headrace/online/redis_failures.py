"""What Redis and the way to it say, in words: which server, what was being done, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis import exceptions

from headrace.errors import OnlineStoreError

_HINTS: Final[tuple[tuple[type[Exception], str], ...]] = (  # the first that fits
    (
        exceptions.AuthenticationError,
        "it does not accept the password, or needs one. Set HEADRACE_ONLINE=redis://user:password@host:port/0",
    ),
    (exceptions.NoPermissionError, "this user may not do that: {error}. Grant it with ACL SETUSER on the server"),
    (exceptions.BusyLoadingError, "it has just started and is loading its data. Try again in a moment"),
    (
        exceptions.OutOfMemoryError,
        "its memory is full. Raise maxmemory on the server, or remove views from it; what was written before stays",
    ),
    (exceptions.ReadOnlyError, "it is a replica, which can't be written. Name the primary in the setting `online`"),
    (
        exceptions.MaxConnectionsError,
        "all connections of this process are in use. Raise max_connections in its URL (?max_connections=200)",
    ),
    (exceptions.TimeoutError, "it does not answer in time. Check the network and what keeps the server busy"),
    (
        exceptions.ConnectionError,
        "it can't be reached ({error}). Check that it is running, and host and port in the setting `online`",
    ),
)


@contextmanager
def redis_failures(doing: str, location: str) -> Iterator[None]:
    """Turn Redis' errors into an `OnlineStoreError`.

    Raises
    ------
    OnlineStoreError
        With what was being done, where (no password), and what to do.
    """
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise OnlineStoreError(f"Can't {doing} the online store {location}: {_explained(error)}.") from error


def _explained(error: Exception) -> str:
    text = str(error).rstrip(".")
    if text.startswith(("NOAUTH", "WRONGPASS")):
        return _HINTS[0][1]
    return next((hint.format(error=text) for kind, hint in _HINTS if isinstance(error, kind)), f"it says: {text}")
