"""Letting many threads work at once, and holding all of them off while the ground moves."""

from __future__ import annotations

from threading import Condition, Lock


class Gate:
    """Threads pass it side by side with ``with gate:``, never nested; `shut` waits until all have left.

    Examples
    --------
    >>> gate = Gate()
    >>> with gate:
    ...     pass
    >>> gate.shut()
    >>> gate.open()
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._changed = Condition(self._lock)
        self._inside = 0
        self._is_shut = False

    def __enter__(self) -> None:
        with self._lock:
            while self._is_shut:
                self._changed.wait()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._is_shut and not self._inside:
                self._changed.notify_all()

    def shut(self) -> None:
        """Let nobody else in and wait until nobody is inside."""
        with self._lock:
            self._changed.wait_for(lambda: not self._is_shut)
            self._is_shut = True
            self._changed.wait_for(lambda: not self._inside)

    def open(self) -> None:
        """Let those who wait in again."""
        with self._lock:
            self._is_shut = False
            self._changed.notify_all()
