"""The connections of one process: each is used by one thread, or task, at a time, and kept for the next call.

httpx's own pool may end a connection that another thread has just begun to use: it asks first whether the connection
is idle and then whether there is something to read, which is the other's answer by then. And it looks at every one of
its connections for each request. So each connection is a client of its own here, taken and put back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from headrace_client.addresses import Address
    from headrace_client.retrying import Deadline


class BusyError(Exception):
    """All connections were in use for as long as the call may take."""


class Turns:
    """So many at once; who waits longest is next, as nobody may wait for ever while others come and go.

    Parameters
    ----------
    most : int
        How many at once.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()

    def take(self, seconds: float) -> bool:
        """Wait for a turn, for so long at most; says whether it came."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=seconds):
            return True
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return False
        return True  # it came in the last moment

    def give_back(self) -> None:
        """End a turn; it goes to who waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Pool:
    """Connections to one server.

    Parameters
    ----------
    address : Address
        The server.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: deque[httpx.Client] = deque()
        self._turns = Turns(address.most_connections)
        self._trust = address.trust()
        self._is_closed = False

    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[httpx.Client]:
        """A connection that nobody else uses meanwhile: the one that was used last, the least likely to be old.

        Raises
        ------
        BusyError
            If none is free by the deadline.
        """
        if not self._turns.take(deadline.left_seconds):
            raise BusyError
        try:
            client = self._taken()
            try:
                yield client
            finally:
                self._put_back(client)
        finally:
            self._turns.give_back()

    def close(self) -> None:
        """End all connections; those in use are ended when they are put back."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _taken(self) -> httpx.Client:
        try:
            return self._idle.pop()
        except IndexError:
            return httpx.Client(limits=self._address.limits(1), verify=self._trust)

    def _put_back(self, client: httpx.Client) -> None:
        if self._is_closed:
            client.close()
        else:
            self._idle.append(client)


class AsyncPool:
    """Connections to one server for the tasks of one event loop.

    Parameters
    ----------
    address : Address
        The server.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._idle: deque[httpx.AsyncClient] = deque()
        self._turns = asyncio.Semaphore(address.most_connections)
        self._trust = address.trust()
        self._is_closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[httpx.AsyncClient]:
        """A connection that no other task uses meanwhile; who waits longest is next."""
        async with self._turns:
            client = self._idle.pop() if self._idle else self._made()
            try:
                yield client
            finally:
                if self._is_closed:
                    await client.aclose()
                else:
                    self._idle.append(client)

    async def aclose(self) -> None:
        """End all connections; those in use are ended when they are put back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _made(self) -> httpx.AsyncClient:
        no_other_limit = httpx.Timeout(None)  # a call's own time is kept around it
        return httpx.AsyncClient(limits=self._address.limits(1), timeout=no_other_limit, verify=self._trust)


class Left(dict[str, float]):
    """What is left of a call's time, asked anew before each step: connecting, sending, reading.

    Parameters
    ----------
    deadline : Deadline
        The call's.
    """

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def get(self, key: str, default: Any = None) -> float:
        """The same for each step; never 0, with which a socket would not wait at all."""
        return max(0.001, self._deadline.left_seconds)
