"""The value at a time: the step with the greatest ``valid_from <= T``."""

from __future__ import annotations

import numpy as np

from headrace.timeline.arrays import Ints

NOT_FOUND = -1


def as_of(step_group: Ints, step_time: Ints, group: Ints, time: Ints, n_groups: int) -> Ints:
    """For each query, the index of the step in force.

    Parameters
    ----------
    step_group, step_time : int64 arrays, shape (n_steps,)
        Steps, sorted by (group, time).
    group, time : int64 arrays, shape (n_queries,)
        The entity (negative: unknown) and the time of each query, in microseconds.
    n_groups : int
        How many entities there are.

    Returns
    -------
    int64 array, shape (n_queries,)
        `NOT_FOUND` where the entity has no step yet.

    Notes
    -----
    The queries are put into the order of the steps first, so that the search walks forward through
    memory; steps are searched within their entity only.
    """
    if not len(step_time):
        return np.full(len(group), NOT_FOUND, dtype=np.int64)
    order = np.lexsort((time, group))
    begin = np.searchsorted(step_group, np.arange(n_groups + 1))
    found = np.full(len(group), NOT_FOUND, dtype=np.int64)
    found[order] = _search(begin, step_time, group[order], time[order])
    return found


def _search(begin: Ints, step_time: Ints, group: Ints, time: Ints) -> Ints:
    """Binary search within each query's own slice, all queries in step."""
    known = group >= 0
    low = np.where(known, begin[np.maximum(group, 0)], 0)
    high = np.where(known, begin[np.maximum(group, 0) + 1], 0)
    first = low.copy()
    while True:
        open_ = low < high
        if not open_.any():
            break
        middle = (low + high) >> 1
        later = np.zeros(len(low), dtype=bool)
        later[open_] = step_time[middle[open_]] > time[open_]
        high = np.where(open_ & later, middle, high)
        low = np.where(open_ & ~later, middle + 1, low)
    return np.where(low > first, low - 1, NOT_FOUND)
