"""The rides of one day, dispatched to each driver one after the other.

All drivers advance together: the n-th pass gives every driver still on shift the n-th ride, so a day costs some forty
passes over arrays whatever the size of the fleet.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.workday import SLOT_SECONDS, Workday, traffic_at

__all__ = ["LATE_AFTER_SECONDS", "Trips", "trips"]

LATE_AFTER_SECONDS = 420.0
"""A rider who waits longer was served late."""

_MEAN_IDLE_SECONDS = 720.0
_BREAK_SECONDS = 45.0
_MAX_RIDES_PER_SHIFT = 120


@dataclass(frozen=True, slots=True)
class Trips:
    """Rides offered to drivers, as arrays with one entry a ride; times in seconds of the UTC day, NaN where never.

    Attributes
    ----------
    driver
        Row of the driver in the workday's `drivers`.
    requested_s, accepted_s, picked_up_s, completed_s, cancelled_s
        When the ride reached each state.
    late
        Whether the rider waited longer than `LATE_AFTER_SECONDS`, or cancelled.
    """

    driver: NDArray[np.int64]
    requested_s: NDArray[np.float64]
    accepted_s: NDArray[np.float64]
    picked_up_s: NDArray[np.float64]
    completed_s: NDArray[np.float64]
    cancelled_s: NDArray[np.float64]
    late: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.driver)

    @property
    def ended_s(self) -> NDArray[np.float64]:
        """When the driver was free again."""
        return np.where(np.isnan(self.completed_s), self.cancelled_s, self.completed_s)


def trips(seed: int, world: Workday) -> Trips:
    """Return the day's rides, ordered by the time of the request.

    The wait grows with the city's pressure and falls with the traffic around the driver and the driver's quality:
    what the features of the platform measure decides, together with chance, whether a ride is late.
    """
    rng = generator(seed, Stream.TRIPS, world.day)
    free_s = world.start_s + 60
    passes: list[Trips] = []
    for _ in range(_MAX_RIDES_PER_SHIFT):
        requested_s = _next_request(rng, world, free_s)
        offered = _serve(rng, world, requested_s)
        free_s = offered.ended_s + _BREAK_SECONDS
        on_shift = requested_s < world.end_s
        passes.append(_take(offered, on_shift))
        if not on_shift.any():
            break
    everything = Trips(*(np.concatenate([getattr(p, f.name) for p in passes]) for f in fields(Trips)))
    return _take(everything, np.lexsort((everything.driver, everything.requested_s)))


def _take(rides: Trips, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Trips:
    return Trips(*(getattr(rides, field.name)[rows] for field in fields(Trips)))


def _pressure_at(world: Workday, second: NDArray[np.float64]) -> NDArray[np.float64]:
    slot = (second // SLOT_SECONDS).astype(np.int64).clip(max=world.pressure.shape[1] - 1)
    pressure: NDArray[np.float64] = world.pressure[world.drivers.city, slot]
    return pressure


def _next_request(rng: np.random.Generator, world: Workday, free_s: NDArray[np.float64]) -> NDArray[np.float64]:
    idle_s = 20 + rng.exponential(_MEAN_IDLE_SECONDS, len(free_s)) / _pressure_at(world, free_s)
    return free_s + idle_s


def _serve(rng: np.random.Generator, world: Workday, requested_s: NDArray[np.float64]) -> Trips:
    """Play one ride for every driver of the day, requested at the given seconds."""
    size = len(requested_s)
    second = requested_s.clip(max=86_000)
    pressure = _pressure_at(world, second)
    traffic = traffic_at(world.traffic, np.arange(size), second)
    wait_s = 320 * np.exp(
        0.7 * np.log(pressure) - 0.5 * traffic - 0.3 * world.drivers.quality + 0.4 * rng.standard_normal(size)
    )
    wait_s = wait_s.clip(40, 1_800)
    response_s = rng.lognormal(np.log(8), 0.5, size).clip(2, 30)
    patience_s = rng.lognormal(np.log(900), 0.4, size).clip(120, 1_500)
    riding_s = rng.lognormal(np.log(700), 0.5, size).clip(180, 2_100)
    ignored = rng.random(size) < (0.02 * pressure).clip(max=0.1)
    cancelled = ignored | (wait_s > patience_s)
    never = np.full(size, np.nan)
    return Trips(
        driver=np.arange(size),
        requested_s=requested_s,
        accepted_s=np.where(ignored, never, requested_s + response_s),
        picked_up_s=np.where(cancelled, never, requested_s + wait_s),
        completed_s=np.where(cancelled, never, requested_s + wait_s + riding_s),
        cancelled_s=np.where(cancelled, requested_s + np.minimum(patience_s, wait_s.clip(min=60)), never),
        late=cancelled | (wait_s > LATE_AFTER_SECONDS),
    )
