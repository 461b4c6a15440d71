"""One day at work: shifts, traffic around each driver, and each city's demand over its supply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.drivers import Drivers, roster
from data_platform.simulator.places import CITIES, demand_shape
from data_platform.simulator.randomness import Stream, generator

__all__ = ["DAY_SECONDS", "SLOT_SECONDS", "Workday", "traffic_at", "workday"]

DAY_SECONDS = 86_400
SLOT_SECONDS = 300
KNOT_SECONDS = 900
LAST_SHIFT_END_SECONDS = 82_000
"""Leaves room for the longest ride to end before midnight UTC."""

_SLOTS = DAY_SECONDS // SLOT_SECONDS
_KNOTS = DAY_SECONDS // KNOT_SECONDS + 1
_SHIFT_STARTS_HOURS = np.array([2.5, 6.0, 11.0])


@dataclass(frozen=True, slots=True)
class Workday:
    """The state of the world on one day.

    Attributes
    ----------
    day
        Day index.
    drivers
        Those at work that day.
    start_s, end_s
        Begin and end of each driver's shift in seconds of the UTC day.
    traffic
        Traffic around each driver every 15 minutes, standard normal, greater is faster, shape (drivers, knots).
    pressure
        Demand over supply of each city in each 5-minute slot, about 1 in balance, shape (cities, slots).
    """

    day: int
    drivers: Drivers
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    traffic: NDArray[np.float32]
    pressure: NDArray[np.float64]


def workday(seed: int, drivers: int, day: int) -> Workday:
    """Return the state of the world on a day; it depends on the arguments alone.

    Parameters
    ----------
    seed
        Seed of the simulation.
    drivers
        Size of the starting fleet.
    day
        Day index from `HISTORY_DAY` up.
    """
    rng = generator(seed, Stream.SHIFTS, day)
    everyone = roster(seed, drivers, day)
    working = everyone.take(rng.random(len(everyone)) < 0.85)
    start_s, end_s = _shifts(rng, len(working))
    traffic = _autoregression(rng, (len(working), _KNOTS), memory=0.6).astype(np.float32)
    supply = _supply(working, start_s, end_s)
    demand_rng = generator(seed, Stream.DEMAND, day)
    return Workday(day, working, start_s, end_s, traffic, _pressure(demand_rng, supply))


def traffic_at(
    traffic: NDArray[np.float32], driver: NDArray[np.int64], second: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the traffic around drivers (row numbers of `traffic`) at seconds of the day, linear between knots."""
    x = second.astype(np.float32) * np.float32(1 / KNOT_SECONDS)
    knot = x.astype(np.int64)
    x -= knot
    knot += driver * traffic.shape[1]
    flat = traffic.ravel()
    before = flat[knot]
    level: NDArray[np.float32] = before + (flat[knot + 1] - before) * x
    return level


def _shifts(rng: np.random.Generator, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    usual = _SHIFT_STARTS_HOURS[rng.choice(len(_SHIFT_STARTS_HOURS), size, p=[0.35, 0.3, 0.35])]
    start_s = 3600 * (usual + rng.normal(0, 1.2, size)).clip(0.3, 16)
    end_s = start_s + 3600 * rng.uniform(5, 10, size)
    return start_s, end_s.clip(max=LAST_SHIFT_END_SECONDS)


def _autoregression(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> NDArray[np.float64]:
    """Return rows of a stationary AR(1) process with variance 1."""
    values = rng.standard_normal(shape)
    values[:, 1:] *= np.sqrt(1 - memory**2)
    for step in range(1, shape[1]):
        values[:, step] += memory * values[:, step - 1]
    return values


def _supply(drivers: Drivers, start_s: NDArray[np.float64], end_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count the drivers at work in each city and slot, shape (cities, slots)."""
    change = np.zeros((len(CITIES), _SLOTS + 1))
    np.add.at(change, (drivers.city, (start_s // SLOT_SECONDS).astype(np.int64)), 1)
    np.add.at(change, (drivers.city, (end_s // SLOT_SECONDS).astype(np.int64) + 1), -1)
    return change.cumsum(axis=1)[:, :_SLOTS]


def _pressure(rng: np.random.Generator, supply: NDArray[np.float64]) -> NDArray[np.float64]:
    slot_seconds = (np.arange(_SLOTS) + 0.5) * SLOT_SECONDS
    surprise = 0.5 * _autoregression(rng, supply.shape, memory=0.93)
    usual_supply = supply.max(axis=1, keepdims=True) * 0.75
    demand = usual_supply * demand_shape(slot_seconds) / 1.9 * np.exp(surprise)
    pressure: NDArray[np.float64] = (demand / supply.clip(min=1)).clip(0.25, 4)
    return pressure
