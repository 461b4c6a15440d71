"""Rides as they finally turned out, with the corrections that came afterwards."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.simulator.drivers import FIRST_DRIVER_ID, Drivers
from data_platform.simulator.places import CITIES, degrees, hot_spots
from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.trips import Trips
from data_platform.simulator.workday import Workday

__all__ = ["true_rides"]

RIDES_PER_DAY = 100_000_000
"""A ride's id is its day's number times this, plus a running number."""

_RATED_SHARE, _CORRECTED_SHARE, _REASSIGNED_SHARE, _TEST_SHARE = 0.65, 0.01, 0.006, 0.004
_MICROSECONDS = 1_000_000


def true_rides(seed: int, world: Workday, rides: Trips, day_start_us: int) -> pl.DataFrame:
    """Return the rides requested on a day as they finally turned out, one row a ride, by time of request.

    Returns
    -------
    polars.DataFrame
        ride_id, rider_id, offered_driver_id, city, pickup_lat, pickup_lon, the times requested_at, accepted_at,
        picked_up_at, completed_at, cancelled_at, rated_at, corrected_at, reassigned_at, deleted_at (microseconds since
        1970-01-01 UTC, null where it never happened), fare, rating, corrected_rating, reassigned_driver_id, phone,
        and `late` (waited longer than `trips.LATE_AFTER_SECONDS`, or cancelled).
    """
    rng = generator(seed, Stream.RIDES, world.day)
    size = len(rides)
    drivers = world.drivers.take(rides.driver)
    lat, lon = _pickups(rng, seed, drivers, rides)
    rider = rng.integers(0, 15 * len(world.drivers) + 1, size)
    riding_s = rides.completed_s - rides.picked_up_s
    fare = (350 + riding_s * rng.normal(0.9, 0.05, size)) / 100
    after = _aftermath(rng, rides, drivers)
    seconds = {
        "requested_at": rides.requested_s,
        "accepted_at": rides.accepted_s,
        "picked_up_at": rides.picked_up_s,
        "completed_at": rides.completed_s,
        "cancelled_at": rides.cancelled_s,
        "rated_at": after["rated_s"],
        "corrected_at": after["corrected_s"],
        "reassigned_at": after["reassigned_s"],
        "deleted_at": after["deleted_s"],
    }
    return pl.DataFrame(
        {
            "ride_id": (world.day + 2) * RIDES_PER_DAY + np.arange(size),
            "rider_id": 5_000_001 + rider,
            "offered_driver_id": drivers.driver_id,
            "city": pl.Series(CITIES, dtype=pl.String).gather(pl.Series(drivers.city).cast(pl.UInt32)),
            "pickup_lat": lat,
            "pickup_lon": lon,
            **{name: _microseconds(second, day_start_us) for name, second in seconds.items()},
            "fare": _nullable(fare).round(2).cast(pl.Decimal(10, 2)),
            "rating": _nullable(after["rating"]).cast(pl.Int64),
            "corrected_rating": _nullable(after["corrected_rating"]).cast(pl.Int64),
            "reassigned_driver_id": _colleagues(rng, world, rides, after["reassigned_s"]),
            "phone": pl.select(pl.format("+99450{}", pl.Series(1_000_000 + rider))).to_series(),
            "late": rides.late,
        }
    )


def _pickups(
    rng: np.random.Generator, seed: int, drivers: Drivers, rides: Trips
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw pick-up points: most near the driver's home patch, the rest at the hot spots of the hour."""
    phase = np.minimum(rides.requested_s // 28_800, 2).astype(np.int64)
    spot_x_m, spot_y_m = hot_spots(seed).draw(rng, drivers.city, phase, spread_m=600)
    nearby = rng.random(len(rides)) < 0.5
    near_x_m, near_y_m = rng.normal(0, 1_500, (2, len(rides)))
    x_m = np.where(nearby, drivers.home_x_m + near_x_m, spot_x_m)
    y_m = np.where(nearby, drivers.home_y_m + near_y_m, spot_y_m)
    return degrees(drivers.city, x_m, y_m)


def _aftermath(rng: np.random.Generator, rides: Trips, drivers: Drivers) -> dict[str, NDArray[np.float64]]:
    """Draw ratings and corrections; the latest ends before midnight of the next day, so two days of rides overlap."""
    size = len(rides)

    def some(share: float, of: NDArray[np.bool_], at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(of & (rng.random(size) < share), at, np.nan)

    met = ~np.isnan(rides.accepted_s)
    opinion = np.where(rides.late, 2.4, 4.7) + 0.35 * drivers.quality + 0.6 * rng.standard_normal(size)
    rating = opinion.round().clip(1, 5)
    thinking_s = rng.lognormal(np.log(2_400), 1.2, size).clip(15, 43_000)
    rated_s = some(_RATED_SHARE, met, rides.ended_s + thinking_s)
    rated = ~np.isnan(rated_s)
    corrected_s = some(_CORRECTED_SHARE, rated, rated_s + rng.uniform(60, 18_000, size))
    last_s = np.fmax(np.fmax(rated_s, corrected_s), rides.ended_s)
    reassigned_s = some(_REASSIGNED_SHARE, ~np.isnan(rides.completed_s), last_s + rng.uniform(60, 7_000, size))
    last_s = np.fmax(last_s, reassigned_s)
    return {
        "rated_s": rated_s,
        "rating": np.where(rated, rating, np.nan),
        "corrected_s": corrected_s,
        "corrected_rating": np.where(np.isnan(corrected_s), np.nan, (rating + rng.integers(1, 5, size) - 1) % 5 + 1),
        "reassigned_s": reassigned_s,
        "deleted_s": some(_TEST_SHARE, np.ones(size, dtype=bool), last_s + rng.uniform(60, 7_000, size)),
    }


def _colleagues(rng: np.random.Generator, world: Workday, rides: Trips, when_s: NDArray[np.float64]) -> pl.Series:
    """Return another driver of the same city wherever a ride is re-assigned, null elsewhere."""
    by_city = np.argsort(world.drivers.city, kind="stable")
    starts = np.searchsorted(world.drivers.city[by_city], np.arange(len(CITIES) + 1))
    place = np.empty(len(by_city), dtype=np.int64)
    place[by_city] = np.arange(len(by_city))
    city = world.drivers.city[rides.driver]
    size = starts[city + 1] - starts[city]
    step = 1 + (rng.random(len(rides)) * (size - 1)).astype(np.int64)
    other = by_city[starts[city] + (place[rides.driver] - starts[city] + step) % size]
    colleague = world.drivers.index[other].astype(np.float64) + FIRST_DRIVER_ID
    return _nullable(np.where(np.isnan(when_s), np.nan, colleague)).cast(pl.Int64)


def _nullable(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(values, nan_to_null=True)


def _microseconds(second: NDArray[np.float64], day_start_us: int) -> pl.Series:
    return (_nullable(second) * _MICROSECONDS).round().cast(pl.Int64) + day_start_us
