"""The simulated platform: one seed, any day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.simulator.changes import change_log, deliver
from data_platform.simulator.documents import documents
from data_platform.simulator.faults import FaultShares, Messages, send
from data_platform.simulator.labels import labels
from data_platform.simulator.landing import Landing, land
from data_platform.simulator.pings import Pings, Schedule, true_pings
from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.rides import true_rides
from data_platform.simulator.trips import Trips, trips
from data_platform.simulator.workday import Workday, workday

if TYPE_CHECKING:
    from data_platform.simulator.writing import Written

__all__ = ["City"]

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_DAYS_KEPT = 3


@dataclass(frozen=True)
class City:
    """A ride-hailing platform in six cities, simulated day by day from a seed.

    Every day is a function of the arguments and its number alone: day 9 is the same whether three or ten days are
    written, and equal arguments write equal bytes.

    Parameters
    ----------
    seed
        Seed of all random numbers, not negative.
    drivers
        Drivers on the books when the simulation starts; later a few join and leave each day. About 85 % of them
        work on a day, some seven hours each. At most 500,000.
    start
        First day, UTC, as a date or ISO text.
    ping_interval_s
        Seconds between two pings of a driver; one hour is a whole number of them.
    faults
        What goes wrong on the way, and how often.
    chunk_hours
        Hours of arrivals in one GPS file; a divisor of 24. Memory grows with it, not with the number of days.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> city = City(seed=7, drivers=50, ping_interval_s=60)
    >>> city.pings(0).columns
    ['event_id', 'driver_id', 'ts', 'received_at', 'lat', 'lon', 'speed_mps', 'status']
    >>> city.labels(1).equals(City(seed=7, drivers=50, ping_interval_s=60).labels(1))
    True
    """

    seed: int = 7
    drivers: int = 2000
    start: date | str = "2026-01-05"
    ping_interval_s: float = 15.0
    faults: FaultShares = FaultShares()  # noqa: RUF009 - frozen
    chunk_hours: int = 6

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"City: seed is not negative, found {self.seed}")
        if not 1 <= self.drivers <= 500_000:
            raise ValueError(f"City: drivers is from 1 to 500,000, found {self.drivers}")
        if self.chunk_hours not in (1, 2, 3, 4, 6, 8, 12, 24):
            raise ValueError(f"City: chunk_hours divides 24, found {self.chunk_hours}")
        if self.ping_interval_s <= 0 or not (3600 / self.ping_interval_s).is_integer():
            raise ValueError(f"City: an hour is a whole number of ping_interval_s, found {self.ping_interval_s}")
        object.__setattr__(self, "start", date.fromisoformat(str(self.start)))

    def date(self, day: int) -> date:
        """Return the calendar date of a day index."""
        assert isinstance(self.start, date)
        return self.start + timedelta(days=day)

    def start_us(self, day: int) -> int:
        """Return the first microsecond of a day, since 1970-01-01 UTC."""
        return (self.date(day) - date(1970, 1, 1)).days * _DAY_US

    def write(self, root: Path, days: int, gps_format: Literal["parquet", "jsonl"] = "parquet") -> Written:
        """Write the landing files, the labels and the truth of the first days below a folder.

        Parameters
        ----------
        root
            Folder; made if absent. Files of an earlier run with the same names are replaced.
        days
            How many days from `start`.
        gps_format
            Parquet, or JSON lines with some torn ones.

        Returns
        -------
        Written
            Counts of what was written.
        """
        from data_platform.simulator.writing import write

        return write(self, root, days, gps_format)

    def landings(self, days: int, first_day: int = 0) -> Iterator[Landing]:
        """Yield the GPS files of consecutive days; what arrives after the last one is left out.

        Parameters
        ----------
        days
            Number of days.
        first_day
            Day index to begin with. What the day before left under way is worked out first.
        """
        under_way: Messages | None = None
        for day in range(max(0, first_day - 1), first_day + days):
            driven_m = np.zeros(len(_world(self.seed, self.drivers, day)[0].drivers))
            for chunk in range(24 // self.chunk_hours):
                rng = generator(self.seed, Stream.PING_FAULTS, day, chunk)
                sent = send(rng, self._pings(day, chunk, driven_m), self.faults)
                sent = sent if under_way is None else under_way.join(sent)
                begins_us = self.start_us(day) + chunk * self.chunk_hours * _HOUR_US
                arrives_later = sent.pings.received_at_us >= begins_us + self.chunk_hours * _HOUR_US
                under_way = sent.take(arrives_later)
                if day >= first_day:
                    yield land(rng, sent.take(~arrives_later), datetime.fromtimestamp(begins_us // 1_000_000, UTC))

    def pings(self, day: int) -> pl.DataFrame:
        """Return the GPS messages that land on a day, faults included, in columns of `GPS_SCHEMA`."""
        self._require(day)
        return pl.concat([landing.messages for landing in self.landings(1, day)])

    def rides(self, day: int) -> pl.DataFrame:
        """Return the ride changes that become known on a day, in the order of delivery (see `changes.change_log`).

        Day 0 begins with the connector's snapshot of the rides of the day before (`op` "r").
        """
        self._require(day)
        rng = generator(self.seed, Stream.RIDE_FAULTS, day)
        return deliver(rng, self.ride_changes(day), self.faults)

    def ride_changes(self, day: int) -> pl.DataFrame:
        """Return the ride changes of a day before faults, by log position."""
        recent = [(d, self.true_rides(d)) for d in (day - 1, day)]
        return change_log(self.seed, recent, day, self.start_us(day))

    def true_rides(self, day: int) -> pl.DataFrame:
        """Return the rides requested on a day as they finally turned out (see `rides.true_rides`)."""
        world, rides = _world(self.seed, self.drivers, day)
        return true_rides(self.seed, world, rides, self.start_us(day))

    def documents(self, day: int) -> pl.DataFrame:
        """Return the driver documents as they stand on a day, one row a driver on the books (see `documents`)."""
        self._require(day)
        return documents(self.seed, self.drivers, day, self.date(0))

    def labels(self, day: int) -> pl.DataFrame:
        """Return the training labels of the rides requested on a day (see `labels.labels`)."""
        self._require(day)
        return labels(self.true_rides(day))

    def _pings(self, day: int, chunk: int, driven_m: NDArray[np.float64]) -> Pings:
        world, rides = _world(self.seed, self.drivers, day)
        schedule = Schedule(self.ping_interval_s, round(self.chunk_hours * 3600 / self.ping_interval_s))
        return true_pings(self.seed, world, rides, schedule, chunk, self.start_us(day), driven_m)

    @staticmethod
    def _require(day: int) -> None:
        if day < 0:
            raise ValueError(f"City: days count from 0, found {day}")


@lru_cache(maxsize=_DAYS_KEPT)
def _world(seed: int, drivers: int, day: int) -> tuple[Workday, Trips]:
    world = workday(seed, drivers, day)
    return world, trips(seed, world)
