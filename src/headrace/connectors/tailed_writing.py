"""Appending to files of JSON lines that a stream tails: whole lines, durable when it returns, from any process.

All writers of a folder take turns by a lock on it, which the system frees when its holder dies. A reader takes whole
lines only, so what a killed writer left of its last line was read by nobody, and the next writer cuts it off.

Each line says when it was written, by the clock of the machine, and never an earlier time than the line before it.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headrace.connectors.arrival_stamps import STAMP_BYTES, stamp_of, stamped
from headrace.connectors.tailed_lines import whole_end
from headrace.definitions.locations import Files
from headrace.errors import DefinitionError, StreamError

PREFIX: Final = "pushed-"
"""What the names of its files have in place of the pattern's ``*``; no one else may write files of such names."""
ROTATE_BYTES: Final = 256 * 1024 * 1024
TURN_SECONDS: Final = 10.0
AHEAD_US: Final = 1_000_000
"""How far the clock may have been set back: after more, another file is begun, whose stamps need not wait for it."""
_TURN_LOOK_SECONDS: Final = 0.002
_KEEP_SIZE: Final = 1  # of Linux's fallocate
_UNNAMEABLE: Final = re.compile(r"[?\[]|\{date\}")


def _now_us() -> int:
    return time.time_ns() // 1_000


@dataclass(slots=True)
class TailedLog:
    """Appends lines to a file of its own among those that a pattern names.

    Parameters
    ----------
    root : Path
        The project's folder, to which the pattern is relative.
    files : Files
        The pattern.
    rotate_bytes : int
        How long a file may be before another one is begun.
    turn_seconds : float
        How long to wait for the other writers.
    clock : callable
        Now, in microseconds UTC.

    Raises
    ------
    DefinitionError
        If no new name can be made for the pattern.
    """

    root: Path
    files: Files
    rotate_bytes: int = ROTATE_BYTES
    turn_seconds: float = TURN_SECONDS
    clock: Callable[[], int] = _now_us
    _current: Path | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """See whether the pattern leaves room for a name."""
        pattern = self.files.pattern
        if _UNNAMEABLE.search(pattern) or "*" not in Path(pattern).name:
            raise DefinitionError(
                f"Files('{pattern}') leaves no room for a file of pushed rows. Name the files with a *, as in "
                "'in/*.jsonl'."
            )

    @property
    def location(self) -> str:
        """The pattern."""
        return f"files '{self.files.pattern}'"

    @property
    def folder(self) -> Path:
        """Where its files are."""
        parts = [part for part in Path(self.files.pattern).parent.parts if part != "**"]
        return self.root.joinpath(*(part.replace("*", "pushed") for part in parts))

    def append(self, lines: Sequence[bytes], keys: Sequence[str] | None = None) -> dict[str, int]:
        """Append lines; returns the position behind them, by file. They are on the disk then.

        Parameters
        ----------
        lines : sequence of bytes
            Without their ends, an object each.
        keys : sequence of str, optional
            Not used: a file is one partition.

        Raises
        ------
        StreamError
            If they can't be written. None of them is there then, unless the disk itself failed.
        """
        try:
            with ExitStack() as opened:
                with self._turn():
                    now_us = self.clock()
                    path, descriptor = self._opened(now_us)
                    opened.callback(os.close, descriptor)
                    end = _appended(descriptor, lines, now_us)
                os.fsync(descriptor)  # others may write meanwhile
        except OSError as error:
            raise StreamError(
                f"{self.location}: rows can't be written into {self.folder}: {error.strerror or error}. Nothing was "
                "acknowledged: see to the disk and push them again."
            ) from error
        return {self._name(path): end}

    def close(self) -> None:
        """Nothing is kept open."""

    def _name(self, path: Path) -> str:
        """As the stream's reader calls its partition."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Write alone among all processes of this machine."""
        if sys.platform == "win32":
            raise StreamError(f"{self.location}: rows can't be pushed into files on Windows. Use a topic of Kafka.")
        _make_folder(self.folder)
        descriptor = os.open(self.folder, os.O_RDONLY)
        deadline = time.monotonic() + self.turn_seconds
        try:
            while not _locked(descriptor):
                if time.monotonic() > deadline:
                    raise StreamError(
                        f"{self.location}: another process has been writing into {self.folder} for over "
                        f"{self.turn_seconds:g} s. Look for one that stands still (fuser {self.folder})."
                    )
                time.sleep(_TURN_LOOK_SECONDS)
            yield
        finally:
            os.close(descriptor)  # which frees it

    def _opened(self, now_us: int) -> tuple[Path, int]:
        """The file that is written now, or a new one."""
        for path in self._candidates():
            if (descriptor := self._with_room(path, now_us)) is not None:
                if path != self._current:  # who made it may have died before its name was on the disk
                    _sync_folder(self.folder)
                self._current = path
                return path, descriptor
        while True:
            with suppress(FileExistsError):
                self._current = path = self.folder / self._file_name(str(time.time_ns() // 1_000))
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                _sync_folder(self.folder)
                return path, descriptor

    def _candidates(self) -> Iterator[Path]:
        """The last one, without a look at the others; then those that are there, the newest first."""
        if self._current is not None:
            yield self._current
        yield from sorted(self.folder.glob(self._file_name("*")), reverse=True)

    def _with_room(self, path: Path, now_us: int) -> int | None:
        with suppress(FileNotFoundError):
            if path.stat().st_size < self.rotate_bytes:
                descriptor = os.open(path, os.O_RDWR)
                if _end_and_stamp(descriptor)[1] <= now_us + AHEAD_US:
                    return descriptor
                os.close(descriptor)
        return None

    def _file_name(self, number: str) -> str:
        """A name that the pattern matches, and that no other writer takes."""
        before, _, after = Path(self.files.pattern).name.partition("*")
        return f"{before}{PREFIX}{number}{after.replace('*', '')}"


def _locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_and_stamp(descriptor: int) -> tuple[int, int]:
    """The place behind the last whole line, and when that was written; 0 if it does not say."""
    with closing(os.fdopen(os.dup(descriptor), "rb", buffering=0)) as stream:
        end = whole_end(stream, os.fstat(descriptor).st_size)
        begin = whole_end(stream, end - 1) if end else 0
    return end, stamp_of(os.pread(descriptor, min(STAMP_BYTES + 1, end - begin), begin)) or 0


def _appended(descriptor: int, lines: Sequence[bytes], now_us: int) -> int:
    """Append behind the last whole line, all or nothing; returns the end."""
    start, last_us = _end_and_stamp(descriptor)
    data = b"\n".join([*stamped(lines, max(now_us, last_us)), b""])
    if start < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, start)
    _reserve(descriptor, start, len(data))
    written = 0
    try:
        while written < len(data):
            written += os.pwrite(descriptor, data[written:] if written else data, start + written)
    except OSError:
        # Whole lines may have been read already, and a file that was read is never cut off before its end.
        os.ftruncate(descriptor, start + data.rfind(b"\n", 0, written) + 1)
        raise
    return start + written


def _reserve(descriptor: int, start: int, size: int) -> None:
    """Take the room on the disk without showing it, so that a full disk is known before a reader sees a part.

    Python's own `posix_fallocate` would make the file longer: then a reader could see bytes that are being written.
    """
    if sys.platform != "linux":
        return
    import ctypes
    import errno

    reserve = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)  # not all C libraries have it
    offset = ctypes.c_int64
    if reserve is None or reserve(descriptor, _KEEP_SIZE, offset(start), offset(size)) == 0:
        return
    number = ctypes.get_errno()
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        raise OSError(number, os.strerror(number))


def _make_folder(folder: Path) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
