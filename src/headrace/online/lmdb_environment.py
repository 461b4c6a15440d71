"""Opening an LMDB environment, and its errors in words."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from headrace.errors import OnlineStoreError

DATA_FILE: Final = "data.mdb"
MOST_READERS: Final = 4096
"""Reads that can go on at once on one machine. It costs 64 bytes each in the lock file."""

_AGAIN: Final = "remove the folder and fill it again with `headrace materialize`"
_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_HINTS: Final[dict[int, str]] = {
    errno.ENOSPC: "the disk is full. Make room and write again: the transaction that failed left nothing behind",
    errno.EDQUOT: "the disk's quota is used up. Make room and write again: the transaction that failed left nothing",
    errno.EROFS: "the file system is read-only. Remount it, or name another folder in the setting `online`",
    errno.EACCES: "permission denied. Readers too need write access to lock.mdb in it; grant it to this user",
    errno.EPERM: "the operation is not permitted. Grant this user write access to the folder",
    errno.ENOTDIR: "a part of the path is a file. Name a folder in the setting `online`",
    errno.EEXIST: "a part of the path is a file. Name a folder in the setting `online`",
    errno.ENOMEM: "the address space does not suffice for the map. Lift the limit (`ulimit -v`), or name a smaller "
    "one: lmdb:./online?map_size=4GiB",
    errno.EIO: "the disk failed. Check it, then " + _AGAIN,
}


def open_environment(folder: Path, map_size: int) -> lmdb.Environment:
    """Open a folder's environment, for reading alone where it can't be written."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        environment = _open(folder, map_size, readonly=False)
    except (lmdb.Error, OSError) as error:
        if _number(error) not in _FORBIDDEN or not (folder / DATA_FILE).exists():
            raise
        environment = _open(folder, map_size, readonly=True)
    if not environment.flags()["readonly"]:
        environment.reader_check()
        _fill_up(environment, folder / DATA_FILE)
    return environment


def check_writable(environment: lmdb.Environment, file: Path) -> None:
    """Raise the system's error where an environment could be opened for reading alone."""
    if environment.flags()["readonly"]:
        on_read_only = os.statvfs(file).f_flag & os.ST_RDONLY
        raise OSError(errno.EROFS if on_read_only else errno.EACCES, "not writable", str(file))


@contextmanager
def lmdb_failures(doing: str, location: str) -> Iterator[None]:
    """Turn LMDB's errors and the disk's into an `OnlineStoreError`.

    Raises
    ------
    OnlineStoreError
        With what was being done, where, and what to do.
    """
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise OnlineStoreError(f"Can't {doing} the online store {location}: {_explained(error)}.") from error


def _open(folder: Path, map_size: int, *, readonly: bool) -> lmdb.Environment:
    # Without spare transactions nothing of this process is left in the table of readers when it forks.
    return lmdb.open(
        str(folder), map_size=map_size, max_readers=MOST_READERS, max_spare_txns=0, readonly=readonly, create=False
    )


def _fill_up(environment: lmdb.Environment, file: Path) -> None:
    """Give a file that was cut off its length again: reading behind a file's end would kill the process.

    Pages of zeros are found to be corrupt as soon as they are read. Freed pages at the end may never have been
    written, so a short file can also be a sound one.
    """
    length = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    there = file.stat().st_size
    if there < length and hasattr(os, "posix_fallocate"):
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), there, length - there)  # never overwrites what another one adds


def _explained(error: Exception) -> str:
    match error:
        case lmdb.MapFullError():
            return (
                "it is full. Raise map_size in its URL, or leave it out (the map then grows with what is stored); "
                "the transaction that did not fit left nothing behind"
            )
        case lmdb.ReadersFullError():
            return f"{MOST_READERS:,} reads are going on at once. Run fewer processes and threads on it"
        case lmdb.BadValsizeError():
            return "a key is empty or has more than 511 bytes, which LMDB does not keep. Use shorter entity keys"
        case lmdb.InvalidError() | lmdb.VersionMismatchError():
            return f"{DATA_FILE} is no LMDB file of this version. Name another folder, or {_AGAIN}"
        case lmdb.CorruptedError() | lmdb.PageNotFoundError() | lmdb.PanicError():
            return f"{DATA_FILE} is damaged. End the processes that use it, {_AGAIN}"
    return _HINTS.get(_number(error), str(error))


def _number(error: Exception) -> int:
    """The errno that the system gave, or 0."""
    if isinstance(error, OSError):
        return error.errno or 0
    return next((number for number in _HINTS if os.strerror(number) in str(error)), 0)
