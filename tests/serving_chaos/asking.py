"""Asking at a fixed rate: each request is sent when it is due, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from tests.serving_chaos.city import SERVICE, UNKNOWN, USERS, judged

USERS_A_REQUEST: Final = 10
PATIENCE_SECONDS: Final = 10.0
_FAILED: Final = (ConnectionError, TimeoutError, asyncio.IncompleteReadError)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what came of it.

    Parameters
    ----------
    sent, done : float
        When, on the machine's monotonic clock.
    status : int
        Of the answer; 0 without one.
    error : str
        What kind, if it is no answer.
    wrong : str
        What is wrong with the answer, if anything.
    waves : dict of str to int
        The version of each view.
    """

    sent: float
    done: float
    status: int
    error: str
    wrong: str
    waves: dict[str, int]


class Asking:
    """Asks a server at an address until told to end."""

    def __init__(self, host: str, port: int, per_second: float, seed: int) -> None:
        self._address, self._every, self._random = (host, port), 1 / per_second, random.Random(seed)
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[Asked] = []
        self.ended = False

    def run(self) -> None:
        """Ask, in a thread of its own."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        due = time.monotonic()
        while not self.ended:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._ask(due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            due += self._every
        await asyncio.gather(*self._tasks)
        for _, writer in self._idle:
            writer.close()

    async def _ask(self, due: float) -> None:
        users = self._random.sample(range(USERS), USERS_A_REQUEST)
        users.insert(self._random.randrange(USERS_A_REQUEST + 1), UNKNOWN + self._random.randrange(1_000))
        status, error, wrong = 0, "", ""
        waves: dict[str, int] = {}
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, body = await self._post(_request(users))
            if status == 200:
                waves, wrong = judged(users, json.loads(body))
            else:
                error = f"{status} {json.loads(body)['error']['type']}"
        except _FAILED as failure:
            error = type(failure).__name__
        except (ValueError, KeyError, TypeError) as failure:
            wrong = f"wrong: unreadable, {status}: {failure!r}"
        self.asked.append(Asked(due, time.monotonic(), status, error, wrong, waves))

    async def _post(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = int(head.partition("content-length:")[2].partition("\r\n")[0])
            body = await reader.readexactly(size)
        except BaseException:
            writer.close()
            raise
        if "connection: close" in head:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split(" ", 2)[1]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is free and still open, or a new one."""
        while self._idle:
            reader, writer = self._idle.popleft()
            if not reader.at_eof() and reader.exception() is None:
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*self._address)


def _request(users: Any) -> bytes:
    body = json.dumps({"feature_service": SERVICE, "entities": {"user_id": users}, "full_feature_names": True}).encode()
    head = "POST /get-online-features HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
