"""An online store in a Redis Cluster: as in one Redis server, with the keys spread over several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, cast

from headrace.errors import OnlineStoreError
from headrace.online.batches import batches, key_batches
from headrace.online.redis_cluster_nodes import Command, Nodes
from headrace.online.redis_cluster_slots import TAG_BYTES, shard_of, tag_of
from headrace.online.redis_failures import redis_failures
from headrace.online.redis_script import PUT_LASTING, PUT_NEWER

_BATCH_ITEMS: Final = 8_000
_BATCH_BYTES: Final = 4 << 20
_SCRIPT_ITEMS: Final = 500  # bounds the milliseconds for which a script keeps others waiting
_KEYS_AT_ONCE: Final = 1_000


class RedisClusterStore:
    """The store in a cluster, below a prefix. Nothing is connected before the first use.

    It can be used by several threads and after a fork. The nodes themselves remove what has expired. Each key is read
    and written whole, but several keys are not read from one state, as they are on several nodes: see
    `headrace.online.base.OnlineStore.reads_one_state`. A failover may lose what was written in the last moments, as a
    replica is told later than the writer; a publication can be loaded again with ``headrace materialize --whole``.

    Parameters
    ----------
    url : str
        ``redis-cluster://user:password@host:port,host:port``, or ``rediss-cluster://…`` (TLS), with the options of
        redis-py behind it. One node that can be reached is enough: it names the others.
    prefix : str
        What all keys begin with, so that several projects can share a cluster.
    readonly : bool
        Refuse to write.

    Raises
    ------
    SettingsError
        If the URL or the prefix can't be used.
    """

    reads_one_state = False

    def __init__(self, url: str, *, prefix: str = "headrace:", readonly: bool = False) -> None:
        self._prefix = prefix.encode()
        self._readonly = readonly
        self._nodes = Nodes(url, prefix)
        self.location = self._nodes.location

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys, each by itself; None where there is none."""
        shards = _by_shard(keys)
        commands = [Command(tag, "MGET", [*map(self._stored, own)]) for tag, own in shards]
        with redis_failures("read", self.location):
            answers = _checked(self._nodes.run(commands))
        found: dict[bytes, bytes | None] = {}
        for (_, own), values in zip(shards, answers, strict=True):
            found.update(zip(own, values, strict=True))
        return [found[key] for key in keys]

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write values, except over one with a greater stamp; returns how many were refused.

        What expires is removed by its node, unless it is `lasting`.

        Raises
        ------
        OnlineStoreError
            If a node can't be written. Some of the items may be written then, each whole.
        """
        self._check_writable()
        refused, script = 0, PUT_LASTING if lasting else PUT_NEWER
        for batch, doubled in batches(items, _BATCH_ITEMS, _BATCH_BYTES):
            commands = [
                Command(tag, "EVALSHA", [*map(self._stored, some)], [batch[key] for key in some])
                for tag, own in _by_shard(batch)
                for some in key_batches(own, _SCRIPT_ITEMS)
            ]
            with redis_failures("write to", self.location):
                refused += doubled + sum(_checked(self._nodes.run_script(script, commands)))
        return refused

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix and their values, node by node, in no order.

        What is written or deleted meanwhile may be among them or not, and so may what moves between nodes.
        """
        pattern = b"%s{%s}%s*" % (_literal(self._prefix), b"?" * TAG_BYTES, _literal(prefix))
        with redis_failures("read", self.location):
            nodes = self._nodes.primaries()
        for node in nodes:
            cursor, begun = 0, False
            while cursor or not begun:
                begun = True
                with redis_failures("read", self.location):
                    cursor, found = node.scan(cursor, match=pattern, count=_KEYS_AT_ONCE)
                keys = [key[len(self._prefix) + TAG_BYTES + 2 :] for key in cast("list[bytes]", found)]
                for key, value in zip(keys, self.get_many(keys), strict=True):
                    if value is not None:  # else it went in between
                        yield key, value

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete keys; returns how many were there."""
        self._check_writable()
        deleted = 0
        for batch in key_batches(keys, _KEYS_AT_ONCE):
            commands = [Command(tag, "UNLINK", [*map(self._stored, own)]) for tag, own in _by_shard(batch)]
            with redis_failures("write to", self.location):
                deleted += sum(_checked(self._nodes.run(commands)))
        return deleted

    def sweep(self, prefix: bytes, now: int) -> int:
        """Nothing: the nodes remove what has expired by themselves."""
        self._check_writable()
        return 0

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._nodes.close()

    def _stored(self, key: bytes) -> bytes:
        return b"%s{%s}%s" % (self._prefix, tag_of(shard_of(key)), key)

    def _check_writable(self) -> None:
        if self._readonly:
            raise OnlineStoreError(f"The online store {self.location} was opened for reading. Open it for writing.")


def _by_shard(keys: Iterable[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """Shards' tags with their keys."""
    shards: dict[int, list[bytes]] = {}
    for key in keys:
        shards.setdefault(shard_of(key), []).append(key)
    return [(tag_of(shard), own) for shard, own in shards.items()]


def _checked(answers: list[Any]) -> list[Any]:
    for answer in islice((each for each in answers if isinstance(each, Exception)), 1):
        raise answer
    return answers


def _literal(text: bytes) -> bytes:
    """What SCAN takes for the text itself."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", text)
