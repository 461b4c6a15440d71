"""Who may write the bronze and silver of a source: one at a time on a machine.

A follower runs for weeks. It holds a lock of its own all the time, and that of ingesting for each epoch only, so that
files can be ingested, quarantine replayed and silver made again beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from headrace.errors import ConflictError

if TYPE_CHECKING:
    from headrace.lake.base import Lake

_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.02
_GLIMPSE_SECONDS: Final = 0.2
"""Who looks whether there is a follower holds its lock for a moment."""


@contextmanager
def follower_turn(lake: Lake, source: str) -> Iterator[None]:
    """Be the one follower of a source.

    Raises
    ------
    ConflictError
        On entering, if another process follows it.
    """
    with taken(lake, f"follow-{source}", _after(_GLIMPSE_SECONDS)):
        yield


@contextmanager
def ingest_turn(lake: Lake, source: str) -> Iterator[None]:
    """Write a source's bronze and silver alone. Wait for a follower's epoch to end, but for nobody else.

    Raises
    ------
    ConflictError
        On entering, if another process is ingesting the source.
    """
    is_late = _after(_PATIENCE_SECONDS)
    with taken(lake, f"ingest-{source}", lambda error: is_late(error) or not _is_followed(lake, source)):
        yield


def taken(lake: Lake, lock: str, gives_up: Callable[[ConflictError], bool]) -> ExitStack:
    """A lock, held; it is tried again until that is given up.

    Raises
    ------
    ConflictError
        Once it is given up.
    """
    while True:
        stack = ExitStack()
        try:
            stack.enter_context(lake.lock(lock))
        except ConflictError as error:
            if gives_up(error):
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return stack


def _after(seconds: float) -> Callable[[ConflictError], bool]:
    deadline = time.monotonic() + seconds
    return lambda _: time.monotonic() > deadline


def _is_followed(lake: Lake, source: str) -> bool:
    try:
        with lake.lock(f"follow-{source}"):
            return False
    except ConflictError:
        return True
