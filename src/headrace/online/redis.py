"""An online store in Redis 6.2 or newer: many machines read and write one map in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError
from redis.retry import Retry

from headrace.errors import OnlineStoreError, SettingsError
from headrace.online.batches import batches, key_batches
from headrace.online.redis_failures import redis_failures
from headrace.online.redis_script import PUT_LASTING, PUT_NEWER, digest

if TYPE_CHECKING:
    from headrace.online.redis_pipeline import RedisPipeline

_BATCH_ITEMS: Final = 500
_BATCH_BYTES: Final = 1 << 20  # bounds the milliseconds for which a script keeps others waiting
_BATCHES_IN_FLIGHT: Final = 4
_KEYS_AT_ONCE: Final = 1_000
_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 10.0


class RedisStore:
    """The store on a server, below a prefix. Nothing is connected before the first use.

    It can be used by several threads and after a fork. The server itself removes what has expired, on its own clock.
    What `put_many` returned for is in the server's memory: whether it outlives the server is the server's setting.
    Use no eviction policy: a record that is evicted looks as if it had never been there. For a cluster there is
    `headrace.online.redis_cluster.RedisClusterStore`.

    Parameters
    ----------
    url : str
        ``redis://user:password@host:port/db``, ``rediss://…`` (TLS) or ``unix:///path?db=0``; redis-py's options may
        follow.
    prefix : str
        What all keys begin with, so that several projects can share a server.
    readonly : bool
        Refuse to write.

    Raises
    ------
    SettingsError
        If the URL can't be read.
    """

    reads_one_state = True

    def __init__(self, url: str, *, prefix: str = "headrace:", readonly: bool = False) -> None:
        self._url, self._prefix = url, prefix.encode()
        self._readonly = readonly
        self._client, self.location = _connected_later(url)

    def pipeline(self, answer_seconds: float) -> RedisPipeline:
        """What reads the same store from the running event loop, without threads; needs hiredis."""
        from headrace.online.redis_pipeline import RedisPipeline

        return RedisPipeline(self._url, self._prefix, self.location, answer_seconds)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys, all from one state of the store; None where there is none."""
        if not keys:
            return []
        with redis_failures("read", self.location):
            return cast("list[bytes | None]", self._client.mget([self._prefix + key for key in keys]))

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write values, except over one with a greater stamp; returns how many were refused.

        What expires is removed by the server, unless it is `lasting`: to give each key its time takes twice as long.

        Raises
        ------
        OnlineStoreError
            If the server can't be written. Some of the items may be written then, each whole.
        """
        self._check_writable()
        refused, script = 0, PUT_LASTING if lasting else PUT_NEWER
        waiting: list[dict[bytes, bytes]] = []
        for batch, doubled in batches(items, _BATCH_ITEMS, _BATCH_BYTES):
            refused += doubled
            waiting.append(batch)
            if len(waiting) == _BATCHES_IN_FLIGHT:
                refused += self._put(waiting, script)
                waiting = []
        return refused + self._put(waiting, script)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix and their values, in no order.

        What is written or deleted meanwhile may be among them or not. A key may come twice while the server's table
        grows or shrinks.
        """
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", self._prefix + prefix) + b"*"
        cursor, begun = 0, False
        while cursor or not begun:
            begun = True
            with redis_failures("read", self.location):
                cursor, keys = self._client.scan(cursor, match=pattern, count=_KEYS_AT_ONCE)
                values = self._client.mget(keys) if keys else []
            for key, value in zip(keys, values, strict=True):
                if value is not None:  # else it went in between
                    yield cast("bytes", key)[len(self._prefix) :], cast("bytes", value)

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete keys; returns how many were there."""
        self._check_writable()
        deleted = 0
        for batch in key_batches(keys, _KEYS_AT_ONCE):
            with redis_failures("write to", self.location):
                deleted += self._client.unlink(*(self._prefix + key for key in batch))
        return deleted

    def sweep(self, prefix: bytes, now: int) -> int:
        """Nothing: the server removes what has expired by itself."""
        self._check_writable()
        return 0

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._client.close()
        self._client.connection_pool.disconnect()

    def _put(self, waiting: list[dict[bytes, bytes]], script: str) -> int:
        """Write some batches in one go; returns how many items were refused."""
        if not waiting:
            return 0
        with redis_failures("write to", self.location):
            answers = self._run(waiting, script)
            if any(isinstance(answer, NoScriptError) for answer in answers):  # the server has started anew
                self._client.script_load(script)
                answers = self._run(waiting, script)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return sum(answers)

    def _run(self, waiting: list[dict[bytes, bytes]], script: str) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for batch in waiting:
                keys = [self._prefix + key for key in batch]
                pipeline.evalsha(digest(script), len(keys), *keys, *batch.values())
            return pipeline.execute(raise_on_error=False)

    def _check_writable(self) -> None:
        if self._readonly:
            raise OnlineStoreError(f"The online store {self.location} was opened for reading. Open it for writing.")


def _connected_later(url: str) -> tuple[redis.Redis, str]:
    """A client without a connection, and the place that it will connect to, without a password."""
    try:
        found = parse_url(url)  # type: ignore[no-untyped-call]
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # What is sent twice writes the same again: after a lost connection everything may be repeated.
            retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
        )
        client.connection_pool.make_connection()
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"online: the Redis URL can't be read ({error}). Write redis://host:6379/0, rediss://… or unix:///path."
        ) from None
    place = found["path"] if "path" in found else f"{found.get('host', 'localhost')}:{found.get('port', 6379)}"
    return client, f"{url.partition(':')[0]}://{place} (db {found.get('db', 0)})"
