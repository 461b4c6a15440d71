"""A server that does what it is told to, right or wrong: for clients that have to get along with it."""

from __future__ import annotations

import asyncio
import re
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET

import msgspec

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What is done with one request."""


@dataclass(slots=True)
class Wayward:
    """What was asked, and where.

    Parameters
    ----------
    url : str
        The server's.
    paths : list of str
        The path of each request.
    bodies : list of bytes
        The body of each.
    connections : int
        How many there were.
    """

    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0


def answer(body: object, status: int = 200, **headers: str) -> Act:
    """Answer as a server should."""

    async def act(writer: asyncio.StreamWriter) -> None:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        further = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n{further}\r\n".encode() + content)
        await writer.drain()

    return act


def stall(seconds: float = 30) -> Act:
    """Say nothing."""

    async def act(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)

    return act


def dribble(seconds: float = 0.05) -> Act:
    """Answer a byte at a time, for ever."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(seconds)

    return act


def reset(after: bytes = b"") -> Act:
    """End the connection by force, after so much of an answer."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return act


@contextmanager
def wayward(acts: Sequence[Act]) -> Iterator[Wayward]:
    """Run such a server in a thread: request n is answered by act n, later ones by the last."""
    seen = Wayward()
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                found = re.search(r"^content-length: *(\d+)", head, re.IGNORECASE | re.MULTILINE)
                seen.bodies.append(await reader.readexactly(int(found[1]) if found else 0))
                seen.paths.append(head.split(" ")[1])
                await acts[min(len(seen.paths), len(acts)) - 1](writer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def work() -> None:
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(timeout=10)
    try:
        yield seen
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=10)
