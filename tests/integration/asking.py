"""Both Python clients behind one face, so that each test is of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from headrace_client import AsyncClient, Client


class Blocking:
    """`AsyncClient`, each call of which is awaited on one event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self.client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.client, name)

        async def called(*arguments: Any, **options: Any) -> Any:
            return await method(*arguments, **options)

        return lambda *arguments, **options: self._runner.run(called(*arguments, **options))

    def end(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()


Connect = Callable[..., Any]


@contextmanager
def _made(kind: str) -> Iterator[Connect]:
    made: list[Any] = []

    def connect(*arguments: Any, **options: Any) -> Any:
        made.append((Client if kind == "Client" else Blocking)(*arguments, **options))
        return made[-1]

    yield connect
    for each in made:
        each.close() if kind == "Client" else each.end()


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client of either kind, closed at the end."""
    with _made(request.param) as made:
        yield made
