"""Where a cluster keeps a key: 256 shards, spread evenly over its 16,384 slots.

Only keys of one slot can be read, or compared by a script, in one command. So keys are not spread over all slots but
over 256 of them, which lie at even distances: each contiguous range of slots, as nodes have them, has its share.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Final
from zlib import crc32

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SHARDS: Final = 256
TAG_BYTES: Final = 4


def shard_of(key: bytes) -> int:
    """The shard of a key.

    Examples
    --------
    >>> shard_of(b"hview") == shard_of(b"hview") < SHARDS
    True
    """
    return crc32(key) % SHARDS


def tag_of(shard: int) -> bytes:
    """What stands between braces in the keys of a shard, from which the cluster takes their slot.

    Examples
    --------
    >>> tag_of(0), tag_of(255)
    (b'01a1', b'01bb')
    """
    return _tags()[shard]


@cache
def _tags() -> tuple[bytes, ...]:
    """For each shard the smallest number whose slot lies in its part of the slots."""
    found: dict[int, bytes] = {}
    for number in count():
        tag = b"%04x" % number
        found.setdefault(key_slot(tag) * SHARDS // REDIS_CLUSTER_HASH_SLOTS, tag)
        if len(found) == SHARDS:
            return tuple(found[shard] for shard in range(SHARDS))
    raise AssertionError("numbers do not end")
