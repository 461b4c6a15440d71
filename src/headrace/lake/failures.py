"""What goes wrong on a disk, in words: which folder, what was being done, what to do."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.errors import LakeError

_TEXTS = {
    errno.ENOSPC: re.compile("No space left|os error 28|StorageFull"),
    errno.EROFS: re.compile("Read-only file system|os error 30"),
    errno.EACCES: re.compile("Permission denied|os error 13"),
    errno.EPERM: re.compile("Operation not permitted|os error 1\\b"),
    errno.EDQUOT: re.compile("quota exceeded|os error 122"),
}


@contextmanager
def lake_failures(doing: str, place: str | Path) -> Iterator[None]:
    """Turn errors of the disk and of the table format into a `LakeError`.

    Parameters
    ----------
    doing : str
        What was tried, such as "write to".
    place : path
        The folder or file named in the message.

    Raises
    ------
    LakeError
        With the reason and what to do about it.
    """
    from deltalake.exceptions import DeltaError
    from polars.exceptions import ComputeError

    try:
        yield
    except (OSError, DeltaError, ComputeError) as error:
        raise LakeError(f"Can't {doing} {place}: {_reason(error, Path(place))}") from error


def damaged(file: str | Path, found: str) -> LakeError:
    """The error for a file of a table that is not as it was written."""
    return LakeError(
        f"{file} is damaged: {found}. Restore it from a backup, or make its table again: silver by `headrace ingest "
        "<source> --rebuild`; gold by moving the table's folder away and running `headrace backfill <view>`."
    )


def is_of_the_disk(error: Exception) -> bool:
    """Whether an error of the table format tells of the disk: full, read-only or forbidden."""
    return _errno_in(str(error)) is not None


def _reason(error: Exception, place: Path) -> str:
    number = error.errno if isinstance(error, OSError) and error.errno else _errno_in(str(error))
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({_free_bytes(place):,} bytes free). Free some space and run it again."
    if number == errno.EROFS:
        return "the file system is read-only. Remount it, or name another lake in headrace.toml."
    if number in (errno.EACCES, errno.EPERM):
        return "writing is not permitted. Give this user write access, or name another lake in headrace.toml."
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _errno_in(text: str) -> int | None:
    return next((number for number, pattern in _TEXTS.items() if pattern.search(text)), None)


def _free_bytes(place: Path) -> int:
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
