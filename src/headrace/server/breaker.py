"""A circuit breaker: while a store does not answer, nobody waits for it, and somebody looks whether it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headrace.errors import OnlineStoreError

FAILURES_IN_A_ROW: Final = 3
PROBE_SECONDS: Final = 0.25


class OpenError(OnlineStoreError):
    """The store is not asked, as it has not answered lately.

    Parameters
    ----------
    last : OnlineStoreError
        What it said last.
    """

    def __init__(self, last: OnlineStoreError) -> None:
        super().__init__(f"{last} It is asked again every {PROBE_SECONDS:g} s, and requests once it answers.")


class Breaker:
    """Counts failures in a row; open from the third on, until a probe succeeds.

    Parameters
    ----------
    opened : callable
        Called when it opens: what probes is to be started.

    Examples
    --------
    >>> breaker = Breaker(lambda: None)
    >>> for _ in range(FAILURES_IN_A_ROW):
    ...     breaker.failed(OnlineStoreError("no answer"))
    >>> breaker.is_open
    True
    >>> breaker.succeeded()
    >>> breaker.is_open
    False
    """

    def __init__(self, opened: Callable[[], None]) -> None:
        self._opened, self._in_a_row = opened, 0
        self._last: OnlineStoreError | None = None
        self.is_open = False

    def check(self) -> None:
        """Refuse while it is open.

        Raises
        ------
        OpenError
            At once, with what the store said last.
        """
        if self.is_open and self._last is not None:
            raise OpenError(self._last)

    def failed(self, error: OnlineStoreError) -> None:
        """A read failed: the store can't be reached, or does not answer in time."""
        if error is not self._last:  # requests that waited for one connection lose it once
            self._in_a_row += 1
        self._last = error
        if self._in_a_row >= FAILURES_IN_A_ROW and not self.is_open:
            self.is_open = True
            self._opened()

    def succeeded(self) -> None:
        """A read was answered."""
        self._in_a_row, self.is_open = 0, False
