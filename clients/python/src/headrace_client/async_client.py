"""The client for asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from weakref import WeakKeyDictionary

import httpx

from headrace_client.addresses import Address
from headrace_client.calls import Calls, Times, Wanted
from headrace_client.columns import Rows
from headrace_client.features import Features
from headrace_client.pool import AsyncPool
from headrace_client.retrying import Lost, Outcome, Plan, Reply, Retrying, Send, Wait

_T = TypeVar("_T")


class AsyncClient:
    """Reads features from a server and pushes rows to it, under asyncio.

    Its methods are those of `headrace_client.Client`, to be awaited. One client may be used from several event loops:
    each has connections of its own.

    Parameters
    ----------
    url, api_key, token, timeout_seconds, retries, most_rows, typed, headers, most_connections, verify
        As of `headrace_client.Client`.
    """

    def __init__(  # noqa: PLR0913 - settings, all by name
        self, url: str, *, api_key: str | None = None, token: str | None = None, timeout_seconds: float = 1.0,
        retries: int = 2, most_rows: int | None = 10_000, typed: bool = True,
        headers: Mapping[str, str] | None = None, most_connections: int = 100, verify: bool = True,
    ) -> None:  # fmt: skip
        self._address = Address.of(url, api_key, token, headers or {}, most_connections, verify)
        self._calls = Calls(timeout_seconds, Retrying(retries), most_rows, typed)
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, AsyncPool]] = WeakKeyDictionary()

    async def features(
        self, wanted: Wanted, entities: Rows, *, at: Times = None, full_names: bool = False,
        timeout_seconds: float | None = None,
    ) -> Features:  # fmt: skip
        """Features of some entities: see `headrace_client.Client.features`."""
        return await self._run(self._calls.features(wanted, entities, at, full_names, timeout_seconds))

    async def push(
        self, source: str, rows: Rows, *, wait_seconds: float | None = None, timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        """Push rows to a source: see `headrace_client.Client.push`."""
        return await self._run(self._calls.push(source, rows, wait_seconds, timeout_seconds))

    async def services(self, *, timeout_seconds: float | None = None) -> list[dict[str, Any]]:
        """The services that there are. Not with Feast's server."""
        return await self._run(self._calls.services(timeout_seconds))

    async def health(self, *, timeout_seconds: float | None = None) -> dict[str, Any]:
        """What the server says of itself; raises `Unavailable` if it does not answer."""
        return await self._run(self._calls.health(timeout_seconds))

    async def close(self) -> None:
        """End this event loop's connections; the next call makes new ones."""
        pool = self._pools.pop(asyncio.get_running_loop(), {}).get(os.getpid())
        if pool is not None:
            await pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._address.url!r})"

    async def _run(self, plan: Plan[_T]) -> _T:
        outcome: Outcome = None
        while True:
            try:
                action = plan.send(outcome)
            except StopIteration as end:
                found: _T = end.value
                return found
            if isinstance(action, Wait):
                await asyncio.sleep(action.seconds)
                outcome = None
            else:
                outcome = await self._sent(action)

    async def _sent(self, action: Send) -> Reply | Lost:
        try:
            async with asyncio.timeout(action.deadline.left_seconds), self._pool().connection() as connection:
                response = await connection.request(
                    action.method, self._address.url + action.path, content=action.body,
                    headers=self._address.headers_for(action.body),
                )  # fmt: skip
        except TimeoutError:
            return Lost("it did not answer", is_late=True)
        except httpx.RequestError as error:
            return Lost(f"{type(error).__name__}: {error}")
        return Reply(response.status_code, response.headers, response.content)

    def _pool(self) -> AsyncPool:
        """The loop's connections in this process; those of the parent are left alone."""
        loops = self._pools.setdefault(asyncio.get_running_loop(), {})
        own = os.getpid()
        return loops.get(own) or loops.setdefault(own, AsyncPool(self._address))
