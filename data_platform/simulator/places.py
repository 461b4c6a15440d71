"""The six cities: their boxes, hot spots and daily rhythm.

All six keep UTC+4, so the UTC day runs from 04:00 to 04:00 local time: it begins and ends when next to nobody
drives. Shifts therefore never cross a day's boundary, and each day can be simulated by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.randomness import Stream, generator

__all__ = [
    "BOX_HALF_SIDE_M",
    "CITIES",
    "CITY_SHARES",
    "HotSpots",
    "degrees",
    "demand_shape",
    "hot_spots",
]

CITIES = ("abu_dhabi", "baku", "dubai", "muscat", "tbilisi", "yerevan")
CITY_SHARES = np.array([0.17, 0.17, 0.28, 0.12, 0.15, 0.11])
"""Share of the drivers that work in each city."""

BOX_HALF_SIDE_M = 15_000.0
"""Nothing true happens farther than this from a city's centre, along either axis."""

UTC_OFFSET_HOURS = 4
SPOTS_PER_CITY = 6
PHASES_PER_DAY = 3
_METRES_PER_DEGREE = 111_320.0
_CENTRE_LAT = np.array([24.454, 40.409, 25.204, 23.588, 41.716, 40.178])
_CENTRE_LON = np.array([54.377, 49.867, 55.271, 58.408, 44.783, 44.513])


@dataclass(frozen=True, slots=True)
class HotSpots:
    """Where people ask for rides.

    Attributes
    ----------
    x_m, y_m
        Position of each spot east and north of the city's centre in metres, shape (cities, spots).
    weight
        Cumulative popularity of the spots in the morning, by day and in the evening, shape (cities, phases, spots).
    """

    x_m: NDArray[np.float64]
    y_m: NDArray[np.float64]
    weight: NDArray[np.float64]

    def draw(
        self, rng: np.random.Generator, city: NDArray[np.int64], phase: NDArray[np.int64], spread_m: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw one point (x, y in metres) for each city index and phase of the day, normally spread around a spot."""
        chosen = (rng.random(len(city))[:, None] > self.weight[city, phase]).sum(axis=1).clip(max=SPOTS_PER_CITY - 1)
        x_m = self.x_m[city, chosen] + spread_m * rng.standard_normal(len(city))
        y_m = self.y_m[city, chosen] + spread_m * rng.standard_normal(len(city))
        return x_m, y_m


def hot_spots(seed: int) -> HotSpots:
    """Return the hot spots of all cities; they stay where they are for the whole simulation."""
    rng = generator(seed, Stream.HOT_SPOTS)
    x_m, y_m = rng.uniform(-6_000, 6_000, (2, len(CITIES), SPOTS_PER_CITY))
    popularity = rng.dirichlet(np.full(SPOTS_PER_CITY, 1.2), (len(CITIES), PHASES_PER_DAY))
    return HotSpots(x_m, y_m, popularity.cumsum(axis=2))


def degrees(
    city: NDArray[np.int64], x_m: NDArray[np.floating], y_m: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return latitude and longitude of points given in metres from their city's centre, kept inside its box."""
    parallel = _METRES_PER_DEGREE * np.cos(np.radians(_CENTRE_LAT))
    north = np.clip(y_m, -BOX_HALF_SIDE_M, BOX_HALF_SIDE_M)
    east = np.clip(x_m, -BOX_HALF_SIDE_M, BOX_HALF_SIDE_M)
    lat = _CENTRE_LAT[city] + north * (1 / _METRES_PER_DEGREE)
    lon = _CENTRE_LON[city] + east * (1 / parallel)[city]
    return np.round(lat, 6), np.round(lon, 6)


def demand_shape(utc_seconds: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the typical demand at a second of the UTC day: peaks at 08:30 and 18:30 local, about 1 at noon."""
    hour = (utc_seconds / 3600 + UTC_OFFSET_HOURS) % 24
    morning = np.exp(-0.5 * ((hour - 8.5) / 1.3) ** 2)
    evening = np.exp(-0.5 * ((hour - 18.5) / 2.0) ** 2)
    asleep = 0.9 * np.exp(-0.5 * ((hour - 4.0) / 2.0) ** 2)
    shape: NDArray[np.float64] = 0.95 + 0.9 * morning + 1.1 * evening - asleep
    return shape
