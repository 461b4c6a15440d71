"""Reading a Redis server from an event loop: many requests share one connection, and none waits for another's answer.

Commands of one turn of the loop leave in one write, and what comes back is handed to who asked, in order: no task,
no future and no thread a request. Writing stays with `headrace.online.redis.RedisStore`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast

import hiredis
from redis import exceptions
from redis.connection import parse_url

from headrace.errors import OnlineStoreError
from headrace.online.redis_failures import redis_failure

Done = Callable[[list[bytes | None] | None, OnlineStoreError | None], None]
"""Called once a read is over: with its values, or with what went wrong."""
CONNECT_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.05
_REPLIES: Final[tuple[tuple[str, type[Exception]], ...]] = (
    ("NOAUTH", exceptions.AuthenticationError),
    ("WRONGPASS", exceptions.AuthenticationError),
    ("NOPERM", exceptions.NoPermissionError),
    ("LOADING", exceptions.BusyLoadingError),
    ("OOM", exceptions.OutOfMemoryError),
)


class RedisPipeline:
    """One connection to a server, opened at the first read and again after it was lost.

    It belongs to one event loop and is not to be used from other threads.

    Parameters
    ----------
    url : str
        As `RedisStore` takes it.
    prefix : bytes
        What all keys begin with.
    location : str
        Where the server is, for people: without a password.
    answer_seconds : float
        A read that takes longer fails, and so do those behind it: the connection is given up.
    """

    def __init__(self, url: str, prefix: bytes, location: str, answer_seconds: float) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))  # type: ignore[no-untyped-call]
        self._is_tls = url.startswith("rediss:")
        self._prefix, self._location, self._answer_seconds = prefix, location, answer_seconds
        self._loop = asyncio.get_running_loop()
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[tuple[bytes, Done]] = []

    def get_many(self, keys: Sequence[bytes], done: Done) -> None:
        """Read the values of some keys, all from one state of the store; `done` gets None where there is none."""
        if not keys:  # which is no command
            done([], None)
            return
        prefix = self._prefix
        command = _packed("MGET", *[prefix + key for key in keys])
        if self._connection is not None:
            self._connection.send(command, done)
            return
        self._early.append((command, done))
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect())

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None:
            self._connection.leave(exceptions.ConnectionError("it was closed"))

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._opened()
                try:
                    await connection.greet(self._greetings())
                except BaseException:
                    connection.leave(exceptions.ConnectionError("it was not let in"))
                    raise
        except TimeoutError:
            self._failed(exceptions.TimeoutError("no answer to a new connection"))
        except (exceptions.RedisError, OSError, ValueError) as error:  # the last: a name that can't be a host's
            self._failed(error)
        else:
            self._connection = connection
            early, self._early = self._early, []
            for command, done in early:
                connection.send(command, done)
        finally:
            self._connecting = None

    async def _opened(self) -> _Connection:
        options = self._options

        def made() -> _Connection:
            return _Connection(self._loop, self._answer_seconds, self._told, self._lost)

        if "path" in options:
            _, connection = await self._loop.create_unix_connection(made, options["path"])
            return connection
        host, port = options.get("host", "localhost"), options.get("port", 6379)
        _, connection = await self._loop.create_connection(
            made, host, port, ssl=_context(options) if self._is_tls else None
        )
        return connection

    def _greetings(self) -> list[bytes]:
        options, found = self._options, []
        if options.get("password"):
            user = [options["username"]] if options.get("username") else []
            found.append(_packed("AUTH", *user, options["password"]))
        if options.get("db"):
            found.append(_packed("SELECT", options["db"]))
        return found or [_packed("PING")]

    def _told(self, error: Exception) -> OnlineStoreError:
        return redis_failure("read", self._location, error)

    def _failed(self, error: Exception) -> None:
        early, self._early = self._early, []
        told = self._told(error)
        for _, done in early:
            done(None, told)

    def _lost(self, connection: _Connection) -> None:
        if self._connection is connection:
            self._connection = None


class _Connection(asyncio.Protocol):
    """Commands out, replies in, in the same order."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        answer_seconds: float,
        told: Callable[[Exception], OnlineStoreError],
        lost: Callable[[_Connection], None],
    ) -> None:
        self._loop, self._answer_seconds, self._told, self._lost = loop, answer_seconds, told, lost
        self._reader = hiredis.Reader(replyError=_reply_error)
        self._waiting: deque[tuple[float, Done]] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._look_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    async def greet(self, commands: list[bytes]) -> None:
        """Say who we are and wait until the server accepts it."""
        for command in commands:
            said: asyncio.Future[Any] = self._loop.create_future()
            self.send(command, partial(_settle, said))
            await said

    def send(self, command: bytes, done: Done) -> None:
        """Send a command with the others of this turn of the loop."""
        self._waiting.append((self._loop.time() + self._answer_seconds, done))
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(command)
        if self._watch is None:
            self._look_later()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (found := self._reader.gets()) is not False:
                self._answered(found)
        except hiredis.ProtocolError as error:
            self.leave(exceptions.ConnectionError(f"what it says can't be read: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.leave(exceptions.ConnectionError("the connection was lost" if error is None else str(error)))

    def leave(self, error: Exception) -> None:
        """Give the connection up: all who wait are told why."""
        self._lost(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None  # what was to leave with this turn of the loop has nowhere to go
        if self._watch is not None:
            self._watch.cancel()
        waiting, self._waiting = self._waiting, deque()
        told = self._told(error) if waiting else None
        for _, done in waiting:
            done(None, told)

    def _answered(self, found: Any) -> None:
        if not self._waiting:  # nothing is open: it was given up meanwhile
            return
        _, done = self._waiting.popleft()
        if isinstance(found, Exception):
            done(None, self._told(found))
        else:
            done(found, None)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _look(self) -> None:
        """Whether the oldest command waits for too long."""
        self._watch = None
        if not self._waiting:
            return
        now = self._loop.time()
        if self._waiting[0][0] < now and now - self._look_at < _LOOK_SECONDS:
            self.leave(exceptions.TimeoutError(f"no answer in {self._answer_seconds:g} s"))
        else:  # if this process itself stood still, the answer may be there, and has not been read yet
            self._look_later()

    def _look_later(self) -> None:
        self._look_at = self._loop.time() + _LOOK_SECONDS
        self._watch = self._loop.call_later(_LOOK_SECONDS, self._look)


def _settle(said: asyncio.Future[Any], found: Any, error: OnlineStoreError | None) -> None:
    if said.done():
        return
    if error is None:
        said.set_result(found)
    else:
        said.set_exception(error.__cause__ if isinstance(error.__cause__, Exception) else error)


def _packed(*words: Any) -> bytes:
    packed: bytes = hiredis.pack_command(words)
    return packed


def _reply_error(text: str) -> Exception:
    kind = next((kind for start, kind in _REPLIES if text.startswith(start)), exceptions.ResponseError)
    return kind(text)


def _context(options: dict[str, Any]) -> ssl.SSLContext:
    """As redis-py makes it of the same options."""
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
    context.check_hostname = bool(options.get("ssl_check_hostname", True))
    if options.get("ssl_cert_reqs") in ("none", ssl.CERT_NONE):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password"))
    return context
