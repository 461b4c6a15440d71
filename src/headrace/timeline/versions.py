"""Change logs as versions of rows: when each version ended."""

from __future__ import annotations

import numpy as np

from headrace.timeline.arrays import Bools, Ints
from headrace.types import FOREVER


def deaths(key: Ints, known: Ints, truncates: Bools) -> Ints:
    """When each entry of a log was replaced, deleted or truncated away.

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
        `known` of the next entry about the same key, or of the next truncate, whichever comes first in
        the log; `FOREVER` if neither does.

    Examples
    --------
    >>> deaths(np.array([1, 2, 1, 0]), np.array([10, 11, 15, 20]), np.array([False, False, False, True])).tolist()
    [15, 20, 20, 4611686018427387904]
    """
    n = len(key)
    place = np.arange(n)
    next_truncate = np.full(n + 1, n)
    next_truncate[:-1][truncates] = place[truncates]
    next_truncate = np.minimum.accumulate(next_truncate[::-1])[::-1][1:]
    successor = np.full(n, n)
    rows = place[~truncates]
    order = rows[np.argsort(key[rows], kind="stable")]
    same = key[order[:-1]] == key[order[1:]]
    successor[order[:-1][same]] = order[1:][same]
    ended_by = np.minimum(successor, next_truncate)
    return np.where(ended_by < n, np.append(known, FOREVER)[ended_by], FOREVER)
