"""One LMDB map for each folder and process: shared by stores and threads, opened anew after a fork.

LMDB corrupts what is opened twice in one process, or used by a child that was forked, or enlarged while somebody reads.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import lmdb

from headrace.errors import OnlineStoreError
from headrace.online.gate import Gate
from headrace.online.lmdb_environment import DATA_FILE, check_writable, open_environment

Answer = TypeVar("Answer")
Transaction = lmdb.Transaction

_FIRST_SIZE_BYTES: Final = 64 << 30  # address space, neither memory nor disk
_LOOK_SECONDS: Final = 1.0
_TRIES: Final = 10


class SharedMap:
    """The map of a folder, which may not exist yet.

    Parameters
    ----------
    folder : Path
        Absolute, without symbolic links.
    limit : int, optional
        The bytes that it may have; it grows without bounds where this is left out.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.users = 0
        self.gate = Gate()
        self._file = folder / DATA_FILE
        self._limit = limit
        self._opening = Lock()
        self._environment: lmdb.Environment | None = None
        self._identity: tuple[int, int] | None = None
        self._look_at = 0.0

    def allow(self, limit: int | None) -> None:
        """Let the map grow to what its most generous user allows."""
        self._limit = None if limit is None or self._limit is None else max(limit, self._limit)

    def read(self, action: Callable[[Transaction[bytes]], Answer], nothing: Answer) -> Answer:
        """What an action finds in one state of the map; `nothing` where nothing was ever written."""
        if time.monotonic() >= self._look_at:
            self._look()
        for _ in range(_TRIES):
            with self.gate:
                environment = self._environment or self._open(create=False)
                if environment is None:
                    return nothing
                try:
                    with environment.begin() as transaction:
                        return action(transaction)
                except lmdb.MapResizedError:
                    pass
                except lmdb.ReadersFullError:
                    if environment.flags()["readonly"] or not environment.reader_check():
                        raise
                    continue
            self._resize(0)
        raise lmdb.MapResizedError("the map grows faster than it can be followed")

    def write(self, action: Callable[[Transaction[bytes]], Answer]) -> Answer:
        """What an action returns whose changes are on the disk, all of them or, if this raises, none.

        The action is called again where the map was too small for it.
        """
        self._look()
        for _ in range(_TRIES):
            with self.gate:
                environment = self._environment or self._open(create=True)
                assert environment is not None
                check_writable(environment, self._file)
                environment.reader_check()  # the pages that killed processes were reading could not be used again
                size = environment.info()["map_size"]
                try:
                    with environment.begin(write=True) as transaction:
                        return action(transaction)
                except lmdb.MapResizedError:
                    new_size = 0
                except lmdb.MapFullError:
                    if self._limit is not None and size >= self._limit:
                        raise
                    new_size = size * 2 if self._limit is None else min(size * 2, self._limit)
            self._resize(new_size, size)
        raise lmdb.MapFullError("the map grew ten times and is still too small")

    def close(self) -> None:
        """Close the map once nobody uses it; the next use opens it again."""
        self.gate.shut()
        try:
            self._close()
        finally:
            self.gate.open()

    def begin_anew(self) -> None:
        """In a forked child, from a parent in which nothing was going on: nothing of the parent's may be used."""
        self.gate, self._opening = Gate(), Lock()
        self._close()

    def _open(self, *, create: bool) -> lmdb.Environment | None:
        with self._opening:
            if not self.users:
                raise OnlineStoreError(f"The online store in {self._file.parent} was closed: open it again.")
            if self._environment is None and (create or self._file.exists()):
                self._environment = open_environment(self._file.parent, self._limit or _FIRST_SIZE_BYTES)
                self._identity = _identity(self._file)
            return self._environment

    def _close(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None

    def _look(self) -> None:
        """Let go of a folder that was removed, replaced or made writable since it was opened."""
        self._look_at = time.monotonic() + _LOOK_SECONDS
        found = self._environment
        if found is not None and (found.flags()["readonly"] or _identity(self._file) != self._identity):
            self.close()

    def _resize(self, size: int, seen: int | None = None) -> None:
        """Take another size, or with 0 the one that another process gave the map."""
        self.gate.shut()
        try:
            found = self._environment
            if found is not None and (seen is None or found.info()["map_size"] == seen):
                found.set_mapsize(size)
        finally:
            self.gate.open()


_maps: Final[dict[Path, SharedMap]] = {}
_maps_lock: Final = Lock()


def take_map(folder: Path, limit: int | None = None) -> SharedMap:
    """The map of a folder, to be given back with `give_back`."""
    folder = folder.resolve()
    with _maps_lock:
        shared = _maps.setdefault(folder, SharedMap(folder, limit))
        if shared.users:
            shared.allow(limit)
        shared.users += 1
        return shared


def give_back(shared: SharedMap) -> None:
    """Say that one user needs a map no more; with the last one it is closed."""
    with _maps_lock:
        shared.users -= 1
        if not shared.users:
            for folder in [folder for folder, kept in _maps.items() if kept is shared]:
                del _maps[folder]
            shared.close()


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _before_fork() -> None:
    _maps_lock.acquire()
    for shared in _maps.values():
        shared.gate.shut()


def _after_fork_in_parent() -> None:
    for shared in _maps.values():
        shared.gate.open()
    _maps_lock.release()


def _after_fork_in_child() -> None:
    for shared in _maps.values():
        shared.begin_anew()
    _maps_lock.release()


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
