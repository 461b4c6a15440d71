"""AWS' client of one table: made at the first use of each process, with threads for many requests at once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, TypeVar

import boto3
from botocore.config import Config

from headrace.errors import OnlineStoreError
from headrace.online.dynamodb_failures import THROTTLES

_CONNECT_SECONDS: Final = 2.0
_TRIES: Final = 3
_THREADS: Final = 32
_MOST_IDLE: Final = 7
"""How often in a row nothing may be done of what a read asks for: two seconds."""
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 1.0
_JITTER: Final = random.SystemRandom()

One = TypeVar("One")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Place:
    """Which table.

    Parameters
    ----------
    table : str
        Its name.
    region : str, optional
        The region; else AWS' own settings name it.
    endpoint : str, optional
        Where it is, for DynamoDB Local and private endpoints.
    timeout_seconds : float
        How long to wait for an answer.
    """

    table: str
    region: str | None = None
    endpoint: str | None = None
    timeout_seconds: float = 10.0

    @property
    def location(self) -> str:
        """Where it is, for people."""
        where = self.endpoint or self.region
        return f"dynamodb://{self.table}" + (f" ({where})" if where else "")


class Patience:
    """Waits a little longer each time nothing was done of what was asked for, and then gives up.

    Parameters
    ----------
    location : str
        The store's, for the message.
    most_idle : int
        How often in a row nothing may be done.
    """

    def __init__(self, location: str, most_idle: int = _MOST_IDLE) -> None:
        self._location, self._most_idle = location, most_idle
        self._idle = 0

    def wait(self, asked: int, left: int) -> None:
        """Wait before so many items that are `left` of those `asked` for are tried again.

        Raises
        ------
        OnlineStoreError
            If none was done several times in a row.
        """
        self._idle = self._idle + 1 if left == asked else 0
        if self._idle == self._most_idle:
            raise OnlineStoreError(f"The online store {self._location} is throttled: {THROTTLES}.")
        if left:
            pause_seconds = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**self._idle)
            time.sleep(pause_seconds * _JITTER.uniform(0.5, 1.0))


class Client:
    """Calls of a table's operations. Nothing is connected before the first; several threads can use it.

    Parameters
    ----------
    place : Place
        Which table. Credentials come from AWS' own chain alone.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.location = place.location
        self._lock = Lock()
        self._owner = 0
        self._made: Any = None
        self._threads: ThreadPoolExecutor | None = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call an operation by its name in Python.

        Raises
        ------
        BotoCoreError, ClientError
            If it fails.
        """
        client, _ = self._opened()
        found: dict[str, Any] = getattr(client, operation)(**arguments)
        return found

    def each(self, function: Callable[[One], Other], arguments: Iterable[One]) -> list[Other]:
        """A function of each of some arguments, several at once."""
        wanted = list(arguments)
        if len(wanted) < 2:
            return [function(one) for one in wanted]
        _, threads = self._opened()
        return list(threads.map(function, wanted))

    def whole(self, operation: str, requests: Sequence[Any] | Mapping[str, Any], left: str) -> Iterator[dict[str, Any]]:
        """The answers to requests of one table's items, until none is `left` unprocessed.

        Raises
        ------
        OnlineStoreError
            If nothing is processed several times in a row.
        BotoCoreError, ClientError
            If it fails.
        """
        asked: dict[str, Any] = {self._place.table: requests}
        patience = Patience(self.location)
        while asked:
            answer = self.call(operation, RequestItems=asked)
            yield answer
            again = answer.get(left) or {}
            patience.wait(_count(asked), _count(again))
            asked = again

    def close(self) -> None:
        """Let go of connections and threads; the next use makes new ones."""
        with self._lock:
            made, threads, self._made, self._threads = self._made, self._threads, None, None
            if self._owner != os.getpid():
                return
        if threads is not None:
            threads.shutdown()
        if made is not None:
            made.close()

    def _opened(self) -> tuple[Any, ThreadPoolExecutor]:
        with self._lock:
            if self._made is None or self._threads is None or self._owner != os.getpid():  # a child has its own
                self._made = _client(self._place)
                self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="headrace-dynamodb")
                self._owner = os.getpid()
            return self._made, self._threads


def _client(place: Place) -> Any:
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=place.timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        max_pool_connections=_THREADS,
        user_agent_extra="headrace",
    )
    session = boto3.session.Session()
    return session.client("dynamodb", region_name=place.region, endpoint_url=place.endpoint, config=config)


def _count(requests: dict[str, Any]) -> int:
    """How many items are asked for."""
    return sum(len(own["Keys"] if isinstance(own, dict) else own) for own in requests.values())
