"""Change logs as versions of rows: when each version ended."""

from __future__ import annotations

import numpy as np

from headrace.timeline.arrays import Bools, Ints
from headrace.types import FOREVER


def deaths(key: Ints, known: Ints, truncates: Bools) -> Ints:
    """When each entry of a log was known to have been replaced, deleted or truncated away.

    Parameters
    ----------
    key : int64 array
        The primary key of each entry, as a number; ignored for truncates.
    known : int64 array
        When each entry was known, in microseconds. Entries are in the log's order, which need not be
        that of `known`.
    truncates : bool array
        Entries that end every row of the table.

    Returns
    -------
    int64 array
        The earliest `known` of the later entries about the same key and of the later truncates;
        `FOREVER` where there is none.

    Examples
    --------
    >>> deaths(np.array([1, 2, 1, 0]), np.array([10, 11, 15, 20]), np.array([False, False, False, True])).tolist()
    [15, 20, 20, 4611686018427387904]
    """
    ended = _least_after(np.where(truncates, known, FOREVER))
    rows = np.flatnonzero(~truncates)
    order = rows[np.argsort(key[rows], kind="stable")]
    ended[order] = np.minimum(ended[order], _least_after_within(key[order], known[order]))
    return ended


def _least_after(values: Ints) -> Ints:
    """The least of the values behind each one."""
    return np.minimum.accumulate(np.append(values, FOREVER)[::-1])[::-1][1:]


def _least_after_within(key: Ints, values: Ints) -> Ints:
    """The least of the values of the same key behind each one; equal keys are neighbours.

    Values are replaced by their ranks, and those of later keys lifted above those of earlier ones: seen from the
    end, the running minimum then starts anew at each key.
    """
    different, rank = np.unique(values, return_inverse=True)
    n = len(different)
    lift = np.unique(key, return_inverse=True)[1] * (n + 1)
    beyond = np.append(lift + rank, FOREVER)
    least = np.minimum.accumulate(beyond[::-1])[::-1][1:] - lift
    return np.append(different, FOREVER)[np.minimum(least, n)]
