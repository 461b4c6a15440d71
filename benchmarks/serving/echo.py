"""The floor of a server in Python: a loop and a parser of HTTP that answer the same bytes to all.

``python -m benchmarks.serving.echo PORT BYTES``
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop


class _Echo(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer)


async def _serve(port: int, size: int) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    answer = head.encode() + b"x" * size
    server = await asyncio.get_running_loop().create_server(lambda: _Echo(answer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
