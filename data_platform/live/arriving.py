"""What arrives: a stretch of a simulated day, moved so that it happens now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.simulator import City, FaultShares
from data_platform.simulator.changes import envelopes
from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.torn import tear
from data_platform.simulator.writing import ping_lines

GPS_TOPIC: Final = "gps"
RIDES_TOPIC: Final = "platform.rides.rides"
FAULTS: Final = FaultShares(
    late=0.02, duplicate=0.02, corrupt=0.004, future=0.001, unparseable=0.002, ride_duplicate=0.02, ride_truncated=0.005
)
BEGINS_HOUR: Final = 8
BEFORE_MINUTES: Final = 10
"""So many minutes of pings are there when the stream starts, and the rides of the day."""

_MINUTE_US: Final = 60_000_000
_DAY: Final = 0
_TORN_PART: Final = 2_000
_RIDE_TIMES: Final = ("requested_at", "accepted_at", "picked_up_at", "completed_at")


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What comes on one topic, in its order.

    Parameters
    ----------
    topic : str
        The topic.
    rows : frame
        The rows that come whole; where they are wrong, ``fault`` says so.
    lines : list of bytes
        The records: a row each, and between them torn ones, each before its row.
    keys : list of bytes or None
        Of each record: what decides its partition.
    due_us : int64 array
        When each record comes, microseconds since 1970 UTC; ascending.
    is_torn : bool array
        Which records are torn.
    """

    topic: str
    rows: pl.DataFrame
    lines: list[bytes]
    keys: list[bytes | None]
    due_us: NDArray[np.int64]
    is_torn: NDArray[np.bool_]

    def due(self, now_us: int) -> int:
        """How many records are due."""
        return int(np.searchsorted(self.due_us, now_us, side="right"))

    def torn(self, count: int) -> int:
        """How many of the first records are torn."""
        return int(self.is_torn[:count].sum())

    def whole(self, count: int) -> pl.DataFrame:
        """The rows that the first records carry."""
        return self.rows.head(count - self.torn(count))


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a simulated day, in the day's own time.

    Parameters
    ----------
    city : City
        The simulation.
    begins_us : int
        The moment that is to be now.
    pings, rides : frame
        GPS messages and ride changes that arrive until the stretch ends, by arrival, with ``fault``.
    """

    city: City
    begins_us: int
    pings: pl.DataFrame
    rides: pl.DataFrame

    def at(self, now_us: int) -> list[Arrivals]:
        """What arrives on each topic, if the stretch begins at a moment of the real day."""
        return [self._gps(now_us - self.begins_us), self._rides(now_us - self.begins_us)]

    def _gps(self, shift_us: int) -> Arrivals:
        shift = pl.duration(microseconds=shift_us)
        rows = self.pings.with_columns(pl.col("ts", "received_at") + shift)
        due_us = rows["received_at"].dt.epoch("us").to_numpy()
        return self._arrivals(
            GPS_TOPIC, rows, ping_lines(rows.drop("fault")), rows["driver_id"], due_us, self.city.faults.unparseable
        )

    def _rides(self, shift_us: int) -> Arrivals:
        images = [
            pl.when(pl.col(name).is_not_null()).then(
                pl.col(name).struct.with_fields(*(pl.field(time) + shift_us for time in _RIDE_TIMES))
            )
            for name in ("before", "after")
        ]
        rows = self.rides.with_columns(*images, pl.col("commit_us", "ts_us") + shift_us)
        due_us = np.maximum.accumulate(rows["ts_us"].to_numpy())  # a second copy comes when the connector is further
        ride = pl.coalesce("after", "before").struct.field("ride_id")
        keys = rows.select(pl.concat_str(pl.lit('{"ride_id":'), ride, pl.lit("}"))).to_series()
        return self._arrivals(RIDES_TOPIC, rows, envelopes(rows), keys, due_us, self.city.faults.ride_truncated)

    def _arrivals(
        self, topic: str, rows: pl.DataFrame, lines: pl.Series, keys: pl.Series, due_us: NDArray[np.int64], share: float
    ) -> Arrivals:
        stream = Stream.PING_FAULTS if topic == GPS_TOPIC else Stream.RIDE_FAULTS
        sent, torn = tear(generator(self.city.seed, stream, _DAY, _TORN_PART), lines, share)
        carried = np.sort(np.concatenate([torn, np.arange(len(rows))]))
        is_torn = np.append(carried[1:] == carried[:-1], [False])  # a torn record comes before its row's
        texts = keys.cast(pl.String).gather(carried)
        return Arrivals(
            topic, rows, [line.encode() for line in sent], [None if key is None else key.encode() for key in texts],
            due_us[carried], is_torn,
        )  # fmt: skip


def simulate(drivers: int, ping_seconds: float, seconds: float, seed: int) -> Stretch:
    """Simulate a morning.

    Parameters
    ----------
    drivers : int
        On the books of the platform.
    ping_seconds : float
        Between two pings of a driver.
    seconds : float
        How long the stretch is.
    seed : int
        Of all that is random.
    """
    city = City(seed=seed, drivers=drivers, ping_interval_s=ping_seconds, faults=FAULTS, chunk_hours=1)
    begins_us = city.start_us(_DAY) + BEGINS_HOUR * 60 * _MINUTE_US
    ends_us = begins_us + int(seconds * 1_000_000)
    hours = BEGINS_HOUR + int(seconds // 3600) + 1
    landed = [
        landing.messages.with_columns(landing.fault.alias("fault"))
        for landing in islice(city.landings(1), hours)
        if landing.begins_at.hour >= BEGINS_HOUR - 1
    ]
    arrives_us = pl.col("received_at").dt.epoch("us")
    pings = pl.concat(landed).filter(arrives_us.is_between(begins_us - BEFORE_MINUTES * _MINUTE_US, ends_us))
    return Stretch(city, begins_us, pings, city.rides(_DAY).filter(pl.col("ts_us").cum_max() <= ends_us))


def busiest(arrivals: Arrivals, since_us: int, count: int) -> Sequence[int]:
    """The drivers with the most pings from a moment on."""
    coming = arrivals.rows.filter(pl.col("received_at").dt.epoch("us") >= since_us, pl.col("fault").is_null())
    found = coming.group_by("driver_id").len().sort("len", "driver_id", descending=[True, False]).head(count)
    return found["driver_id"].to_list()
