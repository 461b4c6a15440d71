"""Random streams addressed by name and day, so that no draw depends on how many came before it elsewhere."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["HISTORY_DAY", "Stream", "generator"]

HISTORY_DAY = -1
"""The day before the first simulated one: its rides are what a connector's initial snapshot finds."""


class Stream(IntEnum):
    """One independent stream of random numbers a subject; the numbers are part of the seed, so never reuse one."""

    HOT_SPOTS = 0
    DRIVERS = 1
    PAPERS = 2
    SHIFTS = 3
    DEMAND = 4
    TRIPS = 5
    RIDES = 6
    CHANGES = 7
    PINGS = 8
    PING_FAULTS = 9
    RIDE_FAULTS = 10


def generator(seed: int, stream: Stream, day: int = 0, part: int = 0) -> np.random.Generator:
    """Return the generator of one subject, day and part of a day.

    Addressed through `numpy.random.SeedSequence`'s spawn key, so day 9 draws the same numbers whether
    or not days 0 to 8 were simulated.

    Parameters
    ----------
    seed
        Seed of the whole simulation, not negative.
    stream
        Subject.
    day
        Day index from `HISTORY_DAY` up.
    part
        Part of the day, for subjects that are drawn in chunks.

    Examples
    --------
    >>> a = generator(7, Stream.PINGS, day=3).random()
    >>> a == generator(7, Stream.PINGS, day=3).random(), a == generator(7, Stream.PINGS, day=4).random()
    (True, False)
    """
    key = (int(stream), day - HISTORY_DAY, part)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))
