"""When a row enters and leaves a window.

Seen from the row, each window of the definitions is one interval ``[start, end)`` of times T at
which the row counts. Everything that headrace computes follows from these intervals, in batch
and in streams alike. `visible` is the first instant at which a reader may know of the row:
``k + 1`` µs, or ``k`` for inclusive sources.
"""

from __future__ import annotations

import numpy as np

from headrace.definitions.windows import Hopping, Lifetime, Sliding, Window
from headrace.timeline.arrays import Ints
from headrace.types import FOREVER


def floor_to(times: Ints, multiple: int, offset: int = 0) -> Ints:
    """The greatest multiple of `multiple` (counted from `offset`) at or before each time.

    Examples
    --------
    >>> floor_to(np.array([-1, 0, 7]), 5).tolist()
    [-5, 0, 5]
    """
    return times - (times - offset) % multiple


def ceil_to(times: Ints, multiple: int) -> Ints:
    """The least multiple at or after each time; `FOREVER` stays.

    Examples
    --------
    >>> ceil_to(np.array([-1, 0, 7]), 5).tolist()
    [0, 0, 10]
    """
    return np.where(times >= FOREVER, times, times + (-times) % multiple)


def interval(window: Window, event_time: Ints, visible: Ints, death: Ints, delay: int) -> tuple[Ints, Ints]:
    """The interval of times at which each row counts in a window.

    Parameters
    ----------
    window : Window
        The window.
    event_time, visible, death : int64 arrays
        For each row, when it happened, from when it may be seen, and from when it has been
        replaced or deleted (`FOREVER` if never), in microseconds.
    delay : int
        How long after its end a hopping window is due, in microseconds.

    Returns
    -------
    start, end : int64 arrays
        Rows with ``start >= end`` never count.
    """
    match window:
        case Lifetime():
            return visible, death
        case Sliding(size, hop, offset):
            return visible, np.minimum(floor_to(event_time, hop, offset) + (hop + size), death)
        case Hopping(size, hop, offset):
            due = floor_to(event_time, hop, offset) + (hop + delay)
            return np.maximum(due, visible), np.minimum(due + size, death)
