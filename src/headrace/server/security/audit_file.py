"""A file of lines to which several processes add, and of which a new one is begun when it is full."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AuditFile:
    """The newest file is `path`, those before it ``path.1``, ``path.2``, … .

    Whole lines are added by one call each time, at the end wherever that is then, so that those of several processes
    do not mix.

    Parameters
    ----------
    path : Path
        The file. It is for its owner alone.
    most_bytes : int
        How long it may become: by one batch more at most.
    files : int
        How many full ones are kept.
    """

    def __init__(self, path: Path, most_bytes: int, files: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._files = files
        self._descriptor: int | None = None

    def write(self, lines: bytes) -> None:
        """Add lines.

        Raises
        ------
        OSError
            If they can't be written.
        """
        descriptor = self._current()
        while lines:
            lines = lines[os.write(descriptor, lines) :]
        if os.fstat(descriptor).st_size >= self._most_bytes:
            self._begin_another()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _current(self) -> int:
        """The file that has the name now: another process may have begun it, or a tool may have moved the old one."""
        if self._descriptor is not None and not _is_at(self._descriptor, self._path):
            self.close()
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return self._descriptor

    def _begin_another(self) -> None:
        with _alone(self._path.with_name(f".{self._path.name}.lock")):
            if self._descriptor is not None and _is_at(self._descriptor, self._path):
                self.close()  # first, for systems on which an open file can't be renamed
                for number in range(self._files - 1, 0, -1):
                    if self._full(number).exists():
                        self._full(number).replace(self._full(number + 1))
                self._path.replace(self._full(1))

    def _full(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process renames the files."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
