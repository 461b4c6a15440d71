"""Who drives: cohorts of drivers who join on a day and leave on a later one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.places import CITIES, CITY_SHARES, hot_spots
from data_platform.simulator.randomness import HISTORY_DAY, Stream, generator

__all__ = ["FIRST_DRIVER_ID", "Drivers", "cohort", "roster"]

FIRST_DRIVER_ID = 100_001
JOIN_SHARE_PER_DAY = 0.006
LEAVE_SHARE_PER_DAY = 0.005
_STAYS = 1_000_000


@dataclass(frozen=True, slots=True)
class Drivers:
    """Drivers and what never changes about them; every attribute is an array with one entry a driver.

    Attributes
    ----------
    index
        Running number from 0; the driver's id is `index + FIRST_DRIVER_ID`.
    city
        Index into `CITIES`.
    home_x_m, home_y_m
        Where the day starts, in metres from the city's centre.
    quality
        How well the driver serves, standard normal; ratings and waits depend on it.
    cruise_mps
        Speed in ordinary traffic with a passenger.
    loop_m, wiggle_m
        Radii of the large and the small circle that make up the path.
    joined_day, left_day
        First day at work and first day no longer on the roster.
    """

    index: NDArray[np.int64]
    city: NDArray[np.int64]
    home_x_m: NDArray[np.float64]
    home_y_m: NDArray[np.float64]
    quality: NDArray[np.float64]
    cruise_mps: NDArray[np.float64]
    loop_m: NDArray[np.float64]
    wiggle_m: NDArray[np.float64]
    joined_day: NDArray[np.int64]
    left_day: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def driver_id(self) -> NDArray[np.int64]:
        """Identifier of each driver."""
        return self.index + FIRST_DRIVER_ID

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Drivers:
        """Return the drivers at a mask or at positions."""
        return Drivers(*(getattr(self, field.name)[rows] for field in fields(self)))


@lru_cache(maxsize=64)
def cohort(seed: int, drivers: int, day: int) -> Drivers:
    """Return the drivers who join on a day; those of `HISTORY_DAY` are the fleet the simulation starts with.

    Parameters
    ----------
    seed
        Seed of the simulation.
    drivers
        Size of the starting fleet.
    day
        Day index from `HISTORY_DAY` up.
    """
    joining = round(drivers * JOIN_SHARE_PER_DAY)
    start, size = (0, drivers) if day == HISTORY_DAY else (drivers + day * joining, joining)
    rng = generator(seed, Stream.DRIVERS, day)
    city = rng.choice(len(CITIES), size, p=CITY_SHARES)
    phase = rng.integers(0, 3, size)
    home_x_m, home_y_m = hot_spots(seed).draw(rng, city, phase, spread_m=1_500)
    return Drivers(
        index=np.arange(start, start + size),
        city=city,
        home_x_m=home_x_m.clip(-8_000, 8_000),
        home_y_m=home_y_m.clip(-8_000, 8_000),
        quality=rng.standard_normal(size),
        cruise_mps=rng.normal(8.5, 0.6, size).clip(6, 11),
        loop_m=rng.uniform(800, 3_000, size),
        wiggle_m=rng.uniform(150, 500, size),
        joined_day=np.full(size, day),
        left_day=day + 2 + rng.geometric(LEAVE_SHARE_PER_DAY, size).clip(max=_STAYS),
    )


def roster(seed: int, drivers: int, day: int) -> Drivers:
    """Return all drivers on the books on a day, ordered by id."""
    cohorts = [cohort(seed, drivers, joined) for joined in range(HISTORY_DAY, day + 1)]
    joined = Drivers(*(np.concatenate([getattr(c, f.name) for c in cohorts]) for f in fields(Drivers)))
    return joined.take(joined.left_day > day)
