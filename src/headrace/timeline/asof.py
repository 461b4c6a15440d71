"""The value at a time: the step with the greatest ``valid_from <= T``."""

from __future__ import annotations

import numpy as np

from headrace.timeline.arrays import Ints

NOT_FOUND = -1


def as_of(step_time: Ints, low: Ints, high: Ints, time: Ints) -> Ints:
    """For each query, the index of the step in force.

    Parameters
    ----------
    step_time : int64 array, shape (n_steps,)
        The times of steps, in microseconds; those of one entity next to each other, ascending.
    low, high : int64 arrays, shape (n_queries,)
        The steps ``low <= i < high`` are those of the query's entity.
    time : int64 array, shape (n_queries,)
        The time of each query, in microseconds.

    Returns
    -------
    int64 array, shape (n_queries,)
        `NOT_FOUND` where the entity has no step yet.

    Notes
    -----
    A binary search of all queries at once, in jumps of falling powers of two: as many rounds as the
    longest entity's steps have binary digits.

    Examples
    --------
    >>> entity = np.zeros(3, dtype=np.int64), np.full(3, 2)
    >>> as_of(np.array([10, 20, 15]), *entity, np.array([9, 10, 99])).tolist()
    [-1, 0, 1]
    """
    behind = low
    longest = int((high - low).max(initial=0))
    for digit in reversed(range(longest.bit_length())):
        probe = behind + (1 << digit)
        inside = probe <= high
        passed = inside & (step_time[np.where(inside, probe - 1, 0)] <= time)
        behind = np.where(passed, probe, behind)
    return np.where(behind > low, behind - 1, NOT_FOUND)
