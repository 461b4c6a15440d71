"""Records as they were read last, for services that rather have old values than none while the store is away."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from headrace.platform.online_answer import OnlineAnswer
from headrace.timeline.packed import PRESENT, STALE

MOST_RECORDS: Final = 200_000
MOST_BYTES: Final = 256 << 20


class StaleRecords:
    """The records that one service read last, the oldest of which make room.

    Parameters
    ----------
    most_age_us : int
        How long ago a record may have been read; microseconds.
    """

    def __init__(self, most_age_us: int) -> None:
        self._most_age_us = most_age_us
        self._read: OrderedDict[bytes, tuple[int, bytes | None]] = OrderedDict()
        self._n_bytes = 0

    def keep(self, keys: Sequence[bytes], found: Sequence[bytes | None], now: int) -> None:
        """Remember what was read."""
        for key, value in zip(keys, found, strict=True):
            _, before = self._read.pop(key, (0, None))
            self._read[key] = now, value  # the newest are last
            self._n_bytes += len(value or b"") - len(before or b"")
        while len(self._read) > MOST_RECORDS or self._n_bytes > MOST_BYTES:
            _, (_, oldest) = self._read.popitem(last=False)
            self._n_bytes -= len(oldest or b"")

    def found(self, keys: Sequence[bytes], now: int) -> list[bytes | None] | None:
        """What was read of some keys; None unless all were read lately."""
        oldest = now - self._most_age_us
        read = [self._read.get(key) for key in keys]
        if any(each is None or each[0] < oldest for each in read):
            return None
        return [each[1] for each in read if each is not None]


def marked(answer: OnlineAnswer) -> OnlineAnswer:
    """The answer with each value that is there marked as `STALE`."""
    statuses = [tuple(STALE if code == PRESENT else code for code in row) for row in answer.statuses]
    return replace(answer, statuses=statuses)
