"""Holding a name alone on this machine. The system frees it when its holder dies."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from headrace.errors import ConflictError
from headrace.lake.failures import lake_failures


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs.

    Parameters
    ----------
    path : Path
        Made if it is missing; it names its holder's process while held.
    what : str
        What is locked, for the message.

    Raises
    ------
    ConflictError
        If another process holds it.
    LakeError
        If the file can't be written.
    """
    with lake_failures("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)  # a buffer would fail again when it is closed on a full disk
    with file:
        if not _try_lock(file):
            raise ConflictError(f"{what} is already running{_holder(path)}. Wait for it to end, or stop it.")
        with lake_failures("lock", path):
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid()}).encode())
        yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder(path: Path) -> str:
    try:
        return f" in process {json.loads(path.read_text(encoding='utf-8'))['pid']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
