"""An online store in a folder of this machine: one LMDB map, read by many processes without copies between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from headrace.errors import OnlineStoreError
from headrace.online.base import STAMP_BYTES, expires_at
from headrace.online.batches import batches, key_batches
from headrace.online.lmdb_environment import lmdb_failures
from headrace.online.lmdb_map import SharedMap, Transaction, give_back, take_map

_BATCH_ITEMS: Final = 20_000
_BATCH_BYTES: Final = 16 << 20
_SCAN_ITEMS: Final = 1_000


class LmdbStore:
    """The store in a folder. Nothing is opened before the first use, nor made before the first write.

    It can be used by several threads and after a fork. What `put_many` returned for is on the disk. Where the folder
    is replaced, readers notice within a second.

    Parameters
    ----------
    folder : Path
        A folder of a local disk (LMDB's locks do not work on network file systems).
    map_size : int, optional
        The bytes that the map may have: writing more raises. Without it the map grows as long as the disk has room.
    readonly : bool
        Refuse to write.
    """

    reads_one_state = True

    def __init__(self, folder: Path, *, map_size: int | None = None, readonly: bool = False) -> None:
        self.location = f"lmdb:{folder}"
        self._readonly = readonly
        self._taken: SharedMap | None = take_map(folder, map_size)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys, all from one state of the store; None where there is none."""
        with lmdb_failures("read", self.location):
            return self._map.read(lambda transaction: list(map(transaction.get, keys)), [None] * len(keys))

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write values, except over one with a greater stamp; returns how many were refused. All of them last.

        Raises
        ------
        OnlineStoreError
            If it can't be written, or is full. Items before the transaction that failed stay written.
        """
        self._check_writable()
        refused = 0
        for batch, doubled in batches(items, _BATCH_ITEMS, _BATCH_BYTES):
            with lmdb_failures("write to", self.location):
                refused += doubled + self._map.write(partial(_put, sorted(batch.items())))
        return refused

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix and their values, sorted; a thousand at a time from one state."""
        start = prefix
        nothing: list[tuple[bytes, bytes]] = []
        while True:
            with lmdb_failures("read", self.location):
                found = self._map.read(partial(_scan, prefix, start), nothing)
            yield from found
            if len(found) < _SCAN_ITEMS:
                return
            start = found[-1][0] + b"\0"

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete keys; returns how many were there."""
        self._check_writable()
        deleted = 0
        for batch in key_batches(keys, _BATCH_ITEMS):
            with lmdb_failures("write to", self.location):
                deleted += self._map.write(partial(_delete, sorted(batch)))
        return deleted

    def sweep(self, prefix: bytes, now: int) -> int:
        """Delete what expired before `now` (microseconds UTC) below a prefix; returns how many there were."""
        self._check_writable()
        deleted = 0
        expired = (key for key, value in self.scan(prefix) if _is_expired(value, now))
        for batch in key_batches(expired, _BATCH_ITEMS):
            with lmdb_failures("write to", self.location):
                deleted += self._map.write(partial(_delete_expired, batch, now))
        return deleted

    def close(self) -> None:
        """Let go of the map."""
        taken, self._taken = self._taken, None
        if taken is not None:
            give_back(taken)

    @property
    def _map(self) -> SharedMap:
        if self._taken is None:
            raise OnlineStoreError(f"The online store {self.location} was closed: open it again.")
        return self._taken

    def _check_writable(self) -> None:
        if self._readonly:
            raise OnlineStoreError(f"The online store {self.location} was opened for reading. Open it for writing.")


def _put(items: list[tuple[bytes, bytes]], transaction: Transaction[bytes]) -> int:
    """Write sorted items; returns how many were refused."""
    cursor = transaction.cursor()
    if not cursor.set_range(items[0][0]):
        cursor.putmulti(items, append=True)  # behind the last key: full pages, and no search
        return 0
    if cursor.key() > items[-1][0]:
        cursor.putmulti(items)
        return 0
    there = dict(cursor.getmulti([key for key, _ in items]))
    newer = [item for item in items if there.get(item[0], b"")[:STAMP_BYTES] <= item[1][:STAMP_BYTES]]
    cursor.putmulti(newer)
    return len(items) - len(newer)


def _scan(prefix: bytes, start: bytes, transaction: Transaction[bytes]) -> list[tuple[bytes, bytes]]:
    cursor = transaction.cursor()
    if not (cursor.set_range(start) if start else cursor.first()):
        return []
    return list(islice(takewhile(lambda item: item[0].startswith(prefix), cursor.iternext()), _SCAN_ITEMS))


def _delete(keys: list[bytes], transaction: Transaction[bytes]) -> int:
    return sum(map(transaction.delete, keys))


def _delete_expired(keys: list[bytes], now: int, transaction: Transaction[bytes]) -> int:
    """Delete those of some keys whose values are still expired: they may have been written since they were found."""
    values = ((key, transaction.get(key)) for key in keys)
    return _delete([key for key, value in values if value is not None and _is_expired(value, now)], transaction)


def _is_expired(value: bytes, now: int) -> bool:
    return 0 < expires_at(value) < now
