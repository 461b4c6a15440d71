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
    (
        exceptions.ClusterDownError,
        "a node of the cluster is down ({error}). Start it again: redis-cli --cluster check tells which it is",
    ),
    (
        exceptions.SlotNotCoveredError,
        "no node of the cluster has some of the keys ({error}). Give its slots to one: redis-cli --cluster fix",
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
    except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
        raise redis_failure(doing, location, error) from error


def redis_failure(doing: str, location: str, error: Exception) -> OnlineStoreError:
    """What to tell of one of Redis' errors, which is its cause."""
    told = OnlineStoreError(f"Can't {doing} the online store {location}: {_explained(error)}.")
    told.__cause__ = error
    return told


def _explained(error: Exception) -> str:
    if isinstance(error, exceptions.RedisClusterException) and isinstance(error.__cause__, Exception):
        return _explained(error.__cause__)  # why none of its nodes could be asked
    text = str(error).rstrip(".")
    if text.startswith("Cluster mode is not enabled"):
        return "it is no cluster. Write redis://host:port/0 in the setting `online`"
    if text.startswith(("NOAUTH", "WRONGPASS")):
        return _HINTS[0][1]
    return next((hint.format(error=text) for kind, hint in _HINTS if isinstance(error, kind)), f"it says: {text}")
