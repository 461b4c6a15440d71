"""Cutting what is to be written into batches that bound memory, transactions and the time others wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from headrace.online.base import STAMP_BYTES


def batches(
    items: Iterable[tuple[bytes, bytes]], most_items: int, most_bytes: int
) -> Iterator[tuple[dict[bytes, bytes], int]]:
    """Items in batches, each key once in a batch.

    Parameters
    ----------
    items : iterable of (key, value)
        Of several with the same key in one batch the greatest stamp stays, of equal stamps the last.
    most_items, most_bytes : int
        A batch has at most so many items, and but for its last one fewer bytes.

    Yields
    ------
    dict of bytes to bytes, int
        A batch, and how many items were refused in favour of others in it.

    Examples
    --------
    >>> old, new = b"1" * 20, b"2" * 20
    >>> list(batches([(b"a", new), (b"a", old), (b"b", old)], most_items=3, most_bytes=1000)) == [
    ...     ({b"a": new, b"b": old}, 1)
    ... ]
    True
    """
    rest = iter(items)
    while piece := list(islice(rest, most_items)):
        batch = dict(piece)
        if len(batch) == len(piece) and sum(map(len, batch)) + sum(map(len, batch.values())) <= most_bytes:
            yield batch, 0
        else:
            yield from _one_by_one(piece, most_bytes)


def _one_by_one(items: list[tuple[bytes, bytes]], most_bytes: int) -> Iterator[tuple[dict[bytes, bytes], int]]:
    batch: dict[bytes, bytes] = {}
    size_bytes = refused = 0
    for key, value in items:
        there = batch.get(key)
        if there is not None and there[:STAMP_BYTES] > value[:STAMP_BYTES]:
            refused += 1
            continue
        batch[key] = value
        size_bytes += len(key) + len(value)
        if size_bytes >= most_bytes:
            yield batch, refused
            batch, size_bytes, refused = {}, 0, 0
    if batch or refused:
        yield batch, refused


def key_batches(keys: Iterable[bytes], most_items: int) -> Iterator[list[bytes]]:
    """Keys in batches.

    Examples
    --------
    >>> list(key_batches([b"a", b"b", b"c"], 2))
    [[b'a', b'b'], [b'c']]
    """
    rest = iter(keys)
    while batch := list(islice(rest, most_items)):
        yield batch
