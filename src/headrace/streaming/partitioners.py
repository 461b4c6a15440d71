"""In which partition of a topic a producer puts a key: as those of Kafka's clients do whose partitioner is not changed.

``murmur2`` is that of Java's client, and so of Kafka Streams, Connect and ksqlDB (and librdkafka's ``murmur2_random``);
``crc32`` that of librdkafka, and so of the clients in Python, Go, C# and PHP, where nothing else is said.

Sources: ``org.apache.kafka.common.utils.Utils.murmur2``; librdkafka's ``rd_kafka_msg_partitioner_consistent``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from headrace.timeline.arrays import Ints

_SEED: Final = 0x9747B28C
_M: Final = np.uint32(0x5BD1E995)
_POSITIVE: Final = 0x7FFFFFFF


def partitions_of(keys: pl.Series, partitioner: str, partitions: int) -> Ints:
    """The number of the partition of each key.

    Parameters
    ----------
    keys : Series
        Text, or whole numbers that are sent as text. None of them is null.
    partitioner : str
        ``murmur2`` or ``crc32``.
    partitions : int
        How many the topic has.

    Examples
    --------
    >>> partitions_of(pl.Series(["21", "foobar", "a-little-bit-long-string"]), "murmur2", 10).tolist()
    [0, 6, 2]
    >>> partitions_of(pl.Series([17, 18]), "crc32", 4).tolist()
    [2, 3]
    """
    return (PARTITIONERS[partitioner](keys.cast(pl.String)) % partitions).astype(np.int64)


def _crc32(keys: pl.Series) -> np.ndarray[Any, Any]:
    return np.fromiter((zlib.crc32(key.encode()) for key in keys), dtype=np.uint32, count=len(keys))


def _murmur2(keys: pl.Series) -> np.ndarray[Any, Any]:
    """Keys of one length are hashed all at once."""
    sizes = keys.str.len_bytes().to_numpy()
    found = np.empty(len(keys), dtype=np.uint32)
    for size in np.unique(sizes).tolist():
        mine = np.flatnonzero(sizes == size)
        text = "".join(keys.gather(pl.Series(mine)).to_list()).encode()
        found[mine] = _murmur2_of(np.frombuffer(text, dtype=np.uint8).reshape(len(mine), size))
    return found & _POSITIVE


def _murmur2_of(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    n, size = rows.shape
    found = np.full(n, _SEED ^ size, dtype=np.uint32)
    whole = size // 4 * 4
    for word in np.ascontiguousarray(rows[:, :whole]).view("<u4").T.astype(np.uint32) if whole else ():
        mixed = word * _M
        mixed ^= mixed >> np.uint32(24)
        found = (found * _M) ^ (mixed * _M)
    if whole < size:
        for place in range(whole, size):
            found ^= rows[:, place].astype(np.uint32) << np.uint32(8 * (place - whole))
        found *= _M
    found ^= found >> np.uint32(13)
    found *= _M
    found ^= found >> np.uint32(15)
    return found


PARTITIONERS: Final[Mapping[str, Callable[[pl.Series], np.ndarray[Any, Any]]]] = {"murmur2": _murmur2, "crc32": _crc32}
"""By the names under which definitions know them."""
