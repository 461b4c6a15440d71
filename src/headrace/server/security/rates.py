"""How often each caller may ask: a bucket of tokens each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_MOST_CALLERS: Final = 10_000


class Rates:
    """Buckets that fill by themselves; a request takes from its caller's, or learns how long to wait.

    A caller may take more at once than a bucket holds, when it is full: it then owes the rest, and waits for it
    longer. So a single large request is answered, and the rate holds all the same.

    Parameters
    ----------
    per_second : float
        How much comes back in a second.
    burst : float
        How much a bucket holds.
    most_callers : int
        How many buckets are kept: the one that was used longest ago makes place, and is full when it comes back.
    """

    def __init__(self, per_second: float, burst: float, most_callers: int = _MOST_CALLERS) -> None:
        self.per_second: Final = per_second
        self.burst: Final = burst
        self._most_callers = most_callers
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, who: Hashable, now_seconds: float, amount: float = 1.0) -> float:
        """Take from a caller's bucket.

        Returns
        -------
        float
            0 where there was enough; else how many seconds until there will be, and nothing was taken.
        """
        with self._lock:
            left, since = self._buckets.pop(who, (self.burst, now_seconds))
            left = min(self.burst, left + max(0.0, now_seconds - since) * self.per_second)
            missing = min(amount, self.burst) - left
            self._buckets[who] = (left if missing > 0 else left - amount, now_seconds)
            if len(self._buckets) > self._most_callers:
                self._buckets.popitem(last=False)
        return missing / self.per_second if missing > 0 else 0.0
