"""How a key and its value are kept in a table of DynamoDB.

=====  ======  ============================================================================================
name   type    what it is
=====  ======  ============================================================================================
``p``  binary  the partition: the key's first 17 bytes, which all records of a definition share, and a shard
``k``  binary  the key; with ``p`` the table's key
``v``  binary  the value
``s``  binary  its stamp, which conditions of writes compare as bytes
``t``  number  when it expires, in whole seconds, from which on DynamoDB deletes it; absent if it does not
=====  ======  ============================================================================================

The records of one definition lie in 16 partitions, so that they can be listed without reading the whole table, and
written by more than the 1,000 units a second that one partition takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from zlib import crc32

from headrace.errors import OnlineStoreError
from headrace.online.base import STAMP_BYTES, expires_at

SHARDS: Final = 16
BEGIN_BYTES: Final = 17
MOST_BYTES: Final = 400 << 10
_OTHER_BYTES: Final = 64
"""More than names of attributes, stamp and expiry take."""

Item = Mapping[str, Mapping[str, Any]]


def key_of(key: bytes) -> dict[str, dict[str, Any]]:
    r"""The table's key of a key.

    Examples
    --------
    >>> key_of(b"hview")
    {'p': {'B': b'hview\x03'}, 'k': {'B': b'hview'}}
    """
    return {"p": {"B": key[:BEGIN_BYTES] + bytes([crc32(key) % SHARDS])}, "k": {"B": key}}


def item_of(key: bytes, value: bytes, *, lasting: bool) -> dict[str, dict[str, Any]]:
    """A key and its value as an item; what is `lasting` is not deleted when it expires.

    Raises
    ------
    OnlineStoreError
        If it is larger than DynamoDB takes.
    """
    size_bytes = 2 * len(key) + len(value) + _OTHER_BYTES
    if size_bytes > MOST_BYTES:
        raise OnlineStoreError(
            f"{_named(key)} has {size_bytes} bytes, and an item of DynamoDB at most {MOST_BYTES} (400 KiB). Nothing of "
            "its batch was written. Give the view fewer or shorter windows, or shorter lists; or keep it in LMDB or "
            "Redis, which take larger ones."
        )
    item = {**key_of(key), "v": {"B": value}, "s": {"B": value[:STAMP_BYTES]}}
    if until_us := 0 if lasting else expires_at(value):
        item["t"] = {"N": str(-(-until_us // 1_000_000))}
    return item


def living(items: Iterable[Item]) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of items that have not expired: DynamoDB may delete them days later."""
    now_seconds = time.time()
    for item in items:
        if "t" not in item or int(item["t"]["N"]) > now_seconds:
            yield item["k"]["B"], item["v"]["B"]


def partitions(prefix: bytes) -> list[bytes] | None:
    """The partitions of all keys with a prefix; None if they may be in any."""
    if len(prefix) < BEGIN_BYTES:
        return None
    return [prefix[:BEGIN_BYTES] + bytes([shard]) for shard in range(SHARDS)]


def _named(key: bytes) -> str:
    """A key in words: heads and records are named as `headrace.platform.online_heads` and `record_keys` say."""
    kind, rest = key[:1], key[1:]
    if kind == b"r":
        return f"A record of the definition {rest[: BEGIN_BYTES - 1].decode('ascii', 'replace')}"
    return f"The {'head of view' if kind == b'h' else 'key'} {rest.decode('utf-8', 'backslashreplace')!r}"
