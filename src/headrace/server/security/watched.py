"""A file that is read again when it has changed, without a restart and without a thread."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from headrace.errors import SettingsError

_T = TypeVar("_T")
_LOOK_SECONDS: Final = 1.0
_REMIND_SECONDS: Final = 60.0
_MOST_BYTES: Final = 16 * 1_024 * 1_024
_OTHERS_MAY_WRITE: Final = 0o022
_Sign = tuple[int, ...] | str | None
_log: Final = logging.getLogger(__name__)


class WatchedFile(Generic[_T]):
    """What a file says now.

    It is looked at once a second at most. One that can't be read, or says nonsense, leaves in force what it said
    before and is told in the log, at once and then each minute: a slip in an editor must not lock everybody out, and
    a file that was moved away must not let everybody in.

    Parameters
    ----------
    path : Path
        The file. Where it is missing at first, `current` is None until it is there.
    parse : callable
        Makes of the file's bytes what they mean. It raises `SettingsError`.
    ticks : callable
        Seconds that only grow.

    Raises
    ------
    SettingsError
        If the file is there and does not count: nothing was said before that could be left in force.
    """

    def __init__(self, path: Path, parse: Callable[[bytes], _T], ticks: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._parse = parse
        self._ticks = ticks
        self._lock = threading.Lock()
        self._value: _T | None = None
        self._sign: _Sign = None
        if path.exists():
            self._value, self._sign = self._read()
        self._next_look = ticks() + _LOOK_SECONDS
        self._next_word = 0.0

    def current(self) -> _T | None:
        """What the file says, as of a second ago at most."""
        if self._ticks() >= self._next_look:
            self._look()
        return self._value

    @property
    def is_named(self) -> bool:
        """Whether the file is there, or was: what it says matters, though it may not be readable."""
        return self._sign is not None

    def _look(self) -> None:
        with self._lock:
            now = self._ticks()
            if now < self._next_look:
                return
            try:
                if _sign_of(self.path) != self._sign:
                    self._value, self._sign = self._read()
                    _log.info("%s was read again", self.path)
            except SettingsError as error:
                self._tell(now, error)
            self._next_look = now + _LOOK_SECONDS

    def _tell(self, now: float, error: SettingsError) -> None:
        sign = f"failed: {error}"
        if sign != self._sign or now >= self._next_word:
            _log.error("What was read before stays in force: %s", error)
            self._next_word = now + _REMIND_SECONDS
        self._sign = sign

    def _read(self) -> tuple[_T, _Sign]:
        content, sign = read_guarded(self.path)
        return self._parse(content), sign


def read_guarded(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """The content of a file that nobody else may write, with what tells this content from another.

    Raises
    ------
    SettingsError
        If it can't be read, others may write it, or it is far too long.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if os.name == "posix" and found.st_mode & _OTHERS_MAY_WRITE:
                raise SettingsError(f"{path}: others may write it, and so let themselves in. Run: chmod go-w {path}")
            if found.st_size > _MOST_BYTES:
                raise SettingsError(f"{path} has {found.st_size:,} bytes: at most {_MOST_BYTES:,} are read.")
            return file.read(), _told(found)
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror or error}.") from error


def _sign_of(path: Path) -> _Sign:
    """What tells the file's content from another; None where there is no file."""
    try:
        return _told(path.stat())
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"failed: {error}"


def _told(found: os.stat_result) -> tuple[int, ...]:
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode
