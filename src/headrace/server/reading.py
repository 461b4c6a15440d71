"""How the server reads its store: in the event loop, over a connection of the loop, or in threads.

Each way is told apart by who waits: nobody for a map in this machine's memory, a callback for a server that is asked
over one connection, a thread for everything else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from headrace.errors import HeadraceError, OnlineStoreError
from headrace.timeline.packed_types import CorruptRecordError

if TYPE_CHECKING:
    from headrace.online.base import OnlineStore
    from headrace.platform.online import Look, OnlineReader

THREADS: Final = 16


class Asking(Protocol):
    """One request that reads the store."""

    @property
    def reader(self) -> OnlineReader:
        """What reads it."""

    @property
    def what(self) -> Look:
        """What is to be read."""

    def found(self, values: Sequence[bytes | None] | None) -> None:
        """The values of its look's keys, or None where another look is needed: it asks again or answers."""

    def failed(self, error: HeadraceError) -> None:
        """Why there is no answer."""

    def broken(self, error: BaseException) -> None:
        """What nobody foresaw."""


class Reads(Protocol):
    """A way to read the store."""

    def start(self, asking: Asking, keys: Sequence[bytes]) -> None:
        """Read some keys' values and hand them over, now or later, in the loop's thread."""

    def probe(self, done: Callable[[OnlineStoreError | None], None]) -> None:
        """Look whether the store answers."""

    async def aclose(self) -> None:
        """Let go of it."""


class InLoop:
    """A store in this machine's memory: reading it takes less time than handing it to a thread would."""

    def __init__(self, store: OnlineStore) -> None:
        self._store = store

    def start(self, asking: Asking, keys: Sequence[bytes]) -> None:
        """Read at once."""
        try:
            values = self._store.get_many(keys)
        except HeadraceError as error:
            asking.failed(error)
        else:
            asking.found(values)

    def probe(self, done: Callable[[OnlineStoreError | None], None]) -> None:
        """Read nothing at once."""
        try:
            self._store.get_many([b"h"])
        except OnlineStoreError as error:
            done(error)
        else:
            done(None)

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class Piped:
    """A Redis server, over one connection of the event loop."""

    def __init__(self, store: OnlineStore, answer_seconds: float) -> None:
        self._pipe = store.pipeline(answer_seconds)  # type: ignore[attr-defined]

    def start(self, asking: Asking, keys: Sequence[bytes]) -> None:
        """Send the question."""

        def done(values: list[bytes | None] | None, error: OnlineStoreError | None) -> None:
            if values is None:
                asking.failed(error or OnlineStoreError("the store said nothing"))
            else:
                asking.found(values)

        self._pipe.get_many(keys, done)

    def probe(self, done: Callable[[OnlineStoreError | None], None]) -> None:
        """Read a key that may be there or not."""
        self._pipe.get_many([b"h"], lambda _, error: done(error))

    async def aclose(self) -> None:
        """Close the connection."""
        await self._pipe.aclose()


class Threaded:
    """Any other store: as many requests at once as there are threads; the others wait."""

    def __init__(self, store: OnlineStore, answer_seconds: float) -> None:
        self._store, self._answer_seconds = store, answer_seconds
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="headrace-read")

    def start(self, asking: Asking, keys: Sequence[bytes]) -> None:
        """Read in a thread; who waits for too long is told so, and a thread that has begun goes on."""
        future = self._threads.submit(asking.reader.fetched, asking.what)
        late = self._loop.call_later(self._answer_seconds, _too_late, asking, future, self._store.location)
        future.add_done_callback(lambda done: self._tell(_over, asking, done, late))

    def probe(self, done: Callable[[OnlineStoreError | None], None]) -> None:
        """Read a key that may be there or not."""

        def over(future: Future[list[bytes | None]]) -> None:
            error = None if future.cancelled() else future.exception()
            self._tell(done, error if isinstance(error, OnlineStoreError) else None)

        self._threads.submit(self._store.get_many, [b"h"]).add_done_callback(over)

    async def aclose(self) -> None:
        """Threads end with what they are reading."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _tell(self, told: Callable[..., None], *what: Any) -> None:
        """Hand over to the loop, in whichever thread; a store that answers after the loop has ended tells nobody."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, *what)


def reads_of(store: OnlineStore, answer_seconds: float) -> Reads:
    """How a store is read best.

    Parameters
    ----------
    store : OnlineStore
        The store.
    answer_seconds : float
        For how long it may take to answer.
    """
    if store.location.startswith("lmdb:"):
        return InLoop(store)
    return Piped(store, answer_seconds) if hasattr(store, "pipeline") else Threaded(store, answer_seconds)


def is_outage(error: HeadraceError) -> bool:
    """Whether the store itself does not answer, rather than holding nothing, or something damaged."""
    return isinstance(error, OnlineStoreError) and not isinstance(error.__cause__, CorruptRecordError)


def _too_late(asking: Asking, future: Future[list[bytes | None] | None], location: str) -> None:
    future.cancel()  # where no thread has begun with it, none needs to
    asking.failed(OnlineStoreError(f"Can't read the online store {location}: it does not answer in time."))


def _over(asking: Asking, done: Future[list[bytes | None] | None], late: asyncio.TimerHandle) -> None:
    late.cancel()
    if done.cancelled():  # who waited was told that it takes too long
        return
    error = done.exception()
    if error is None:
        asking.found(done.result())
    elif isinstance(error, HeadraceError):
        asking.failed(error)
    else:
        asking.broken(error)
