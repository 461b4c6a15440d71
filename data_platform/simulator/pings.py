"""What the drivers' phones truly report: positions along smooth paths, at the speed of the traffic.

A driver's path is a small circle carried along a large one, travelled at the driver's speed: a closed form of the
distance driven since the shift began, so a chunk of the day needs nothing of the chunks before it but one distance a
driver.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.places import degrees
from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.trips import Trips
from data_platform.simulator.workday import Workday, traffic_at

__all__ = ["AVAILABLE", "OFFLINE", "ON_TRIP", "STATUSES", "Pings", "Schedule", "true_pings"]

STATUSES = ("available", "on_trip", "offline")
AVAILABLE, ON_TRIP, OFFLINE = range(3)

EVENT_ID_DRIVERS = 1_000_000
"""An event id is the running number of the ping's slot followed by six digits for the driver."""

_LARGE, _SMALL = 0.9, 0.3
_FREE_SPEED_SHARE = 0.8
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """When phones report.

    Attributes
    ----------
    interval_s
        Seconds from one ping of a driver to the next.
    slots
        Pings of a driver in one chunk of a day.
    """

    interval_s: float
    slots: int


@dataclass(frozen=True, slots=True)
class Pings:
    """Pings as they truly happened, as arrays with one entry a ping, ordered by driver and time.

    Attributes
    ----------
    event_id
        Unique number.
    driver_id
        Identifier of the driver.
    ts_us, received_at_us
        Event and arrival time in microseconds since 1970-01-01 UTC.
    lat, lon
        Degrees.
    speed_mps
        Metres a second.
    status
        Index into `STATUSES`.
    """

    event_id: NDArray[np.int64]
    driver_id: NDArray[np.int64]
    ts_us: NDArray[np.int64]
    received_at_us: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    status: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.event_id)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Pings:
        """Return the pings at a mask or at positions."""
        return Pings(*(getattr(self, field.name)[rows] for field in fields(Pings)))

    def join(self, more: Pings) -> Pings:
        """Return these pings and more."""
        return Pings(*(np.concatenate([getattr(self, f.name), getattr(more, f.name)]) for f in fields(Pings)))


def true_pings(
    seed: int,
    world: Workday,
    rides: Trips,
    schedule: Schedule,
    chunk: int,
    day_start_us: int,
    driven_m: NDArray[np.float64],
) -> Pings:
    """Return the pings of one chunk of a day.

    Parameters
    ----------
    seed
        Seed of the simulation.
    world, rides
        The day and its rides.
    schedule
        When phones report.
    chunk
        Number of the chunk within the day.
    day_start_us
        Microseconds since 1970-01-01 UTC at the day's start.
    driven_m
        Metres driven by each driver of the day before this chunk; brought up to the chunk's end in place.
    """
    rng = generator(seed, Stream.PINGS, world.day, chunk)
    first, count, last_slot = _slots(world, rides, schedule, chunk)
    driver = np.repeat(np.arange(len(count)), count)
    offset = np.cumsum(count) - count
    slot = np.arange(len(driver)) + np.repeat(first - offset, count)
    second = slot * schedule.interval_s + np.repeat(_phase_s(world, schedule), count)

    status = _status(rides, schedule, first, count, offset)
    status[slot == np.repeat(last_slot, count)] = OFFLINE
    speed = _speed(world, driver, second, count, status)
    x_m, y_m = _positions(world, speed, count, schedule.interval_s, driven_m)
    lat, lon = degrees(np.repeat(world.drivers.city, count), x_m, y_m)

    noise = rng.standard_normal(len(speed), dtype=np.float32) * np.float32(0.12)
    reported: NDArray[np.float32] = np.abs(speed * (1 + noise))
    reported[status == OFFLINE] = 0
    ts_us = day_start_us + (second * _MICROSECONDS).astype(np.int64) + rng.integers(0, 1_000, len(second))
    delay_s = np.exp(np.float32(0.8) * rng.standard_normal(len(second), dtype=np.float32)) * np.float32(0.35)
    slots_before = round(world.day * 86_400 / schedule.interval_s)
    return Pings(
        event_id=(slots_before + slot) * EVENT_ID_DRIVERS + np.repeat(world.drivers.index, count),
        driver_id=np.repeat(world.drivers.driver_id, count),
        ts_us=ts_us,
        received_at_us=ts_us + (delay_s * _MICROSECONDS).astype(np.int64),
        lat=lat,
        lon=lon,
        speed_mps=reported.astype(np.float64).round(2),
        status=status,
    )


def _phase_s(world: Workday, schedule: Schedule) -> NDArray[np.float64]:
    """Spread the drivers over the interval, so that they don't all report at once."""
    return np.asarray((world.drivers.index * 0.618034) % 1 * (schedule.interval_s * 0.99), dtype=np.float64)


def _slots(
    world: Workday, rides: Trips, schedule: Schedule, chunk: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return each driver's first slot within the chunk, how many, and the day's last slot (the `offline` ping)."""
    home_s = world.end_s.copy()
    np.maximum.at(home_s, rides.driver, rides.ended_s)
    begin = np.ceil(world.start_s / schedule.interval_s).astype(np.int64)
    end = np.ceil(home_s / schedule.interval_s).astype(np.int64)
    first = begin.clip(min=chunk * schedule.slots)
    count = (end + 1).clip(max=(chunk + 1) * schedule.slots) - first
    return first, count.clip(min=0), end


def _status(
    rides: Trips,
    schedule: Schedule,
    first: NDArray[np.int64],
    count: NDArray[np.int64],
    offset: NDArray[np.int64],
) -> NDArray[np.uint32]:
    """Mark the pings from a ride's acceptance until its end, by adding up where rides begin and end."""
    taken = ~np.isnan(rides.accepted_s)
    driver = rides.driver[taken]
    change = np.zeros(int(count.sum()) + 1, dtype=np.int8)
    for second, step in ((rides.accepted_s[taken], 1), (rides.ended_s[taken], -1)):
        slot = np.ceil(second / schedule.interval_s).astype(np.int64)
        within = (slot - first[driver]).clip(min=0)
        np.add.at(change, offset[driver] + np.minimum(within, count[driver]), step)
    return np.cumsum(change[:-1], dtype=np.int8).astype(np.uint32)


def _speed(
    world: Workday,
    driver: NDArray[np.int64],
    second: NDArray[np.float64],
    count: NDArray[np.int64],
    status: NDArray[np.uint32],
) -> NDArray[np.float32]:
    cruise = np.repeat(world.drivers.cruise_mps.astype(np.float32), count)
    speed = cruise * np.exp(np.float32(0.35) * traffic_at(world.traffic, driver, second))
    share = np.array([_FREE_SPEED_SHARE, 1, 0], dtype=np.float32)
    moving: NDArray[np.float32] = np.minimum(speed, np.float32(36)) * share[status]
    return moving


def _positions(
    world: Workday,
    speed: NDArray[np.float32],
    count: NDArray[np.int64],
    interval_s: float,
    driven_m: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return metres east and north of the city's centre, and bring `driven_m` up to the chunk's end."""
    total = np.concatenate([[0.0], np.cumsum(speed, dtype=np.float64)]) * interval_s
    ends = np.cumsum(count)
    distance = total[1:] + np.repeat(driven_m - total[ends - count], count)
    driven_m += total[ends] - total[ends - count]
    drivers = world.drivers
    turns = drivers.index * 2.399963
    x = np.repeat(drivers.home_x_m.astype(np.float32), count)
    y = np.repeat(drivers.home_y_m.astype(np.float32), count)
    for share, radius_m, phase in ((_LARGE, drivers.loop_m, turns), (_SMALL, drivers.wiggle_m, -turns)):
        reach = np.repeat((share * radius_m).astype(np.float32), count)
        angle = (distance * np.repeat(1 / radius_m, count) + np.repeat(phase % 6.283185, count)).astype(np.float32)
        x += reach * np.cos(angle)
        y += reach * np.sin(angle)
    return x, y
