"""The day after the simulated ones, which arrives while the demo goes on: GPS by the quarter, rides by the minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from data_platform.simulator import City, Landing, Written
from data_platform.simulator.changes import CONNECTOR_LAG_US
from data_platform.simulator.writing import land_pings, land_ride_changes

Spoil = Callable[[Landing], Landing]
KNOWN: Final = pl.from_epoch("ts_us", "us").dt.replace_time_zone("UTC")
ENTRY_BYTES: Final = 520
"""Of an update in the database's log."""


class ArrivingDay:
    """A day whose files land one after the other.

    Parameters
    ----------
    root : Path
        The project.
    city : City
        The simulation.
    day : int
        The day's number.
    """

    def __init__(self, root: Path, city: City, day: int) -> None:
        self.root, self.city, self.day = root, city, day
        self.midnight = datetime.combine(city.date(day), datetime.min.time(), UTC)
        self._quarters = city.landings(1, day)
        self._changes = city.rides(day)
        self._known = self.midnight
        self._end = int(self._changes.select(pl.col("pos").max()).item())

    def at(self, hours: int, minutes: int = 0, seconds: int = 0) -> datetime:
        """A time of the day; minutes and seconds may be negative."""
        return self.midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def land_pings(self, quarters: int, spoil: Spoil = lambda landing: landing) -> list[Landing]:
        """Write the next GPS files, each of six hours, and what is true of them."""
        landed = [spoil(next(self._quarters)) for _ in range(quarters)]
        for landing in landed:
            land_pings(self.city, landing, "parquet", 0, Written(self.root))
        return landed

    def land_rides(self, until: datetime) -> None:
        """Write the ride changes that have become known since those before."""
        changes = self._changes.filter(KNOWN.is_between(self._known, until, closed="left"))
        self._known = until
        self._land(f"{until:%H%M}", changes)

    def update_rides(self, at: datetime, before: pl.Series, after: pl.Series) -> None:
        """Write an update of rows of the rides table, which are known from a moment on, a microsecond apart."""
        microseconds = int(at.timestamp()) * 1_000_000
        place = pl.int_range(1, pl.len() + 1)
        changes = pl.DataFrame({"before": before, "after": after}).select(
            op=pl.lit("u"), before="before", after="after", commit_us=microseconds - CONNECTOR_LAG_US + place,
            ts_us=microseconds + place, file=pl.lit(self._changes["file"][0]), pos=self._end + ENTRY_BYTES * place,
        )  # fmt: skip
        self._end += ENTRY_BYTES * len(changes)
        self._land(f"{at:%H%M%S}", changes)

    def _land(self, name: str, changes: pl.DataFrame) -> None:
        path = self.root / "landing" / "rides" / f"rides_{self.city.date(self.day)}_{name}.jsonl"
        land_ride_changes(path, changes)

    def drivers(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Who was offered a ride in a span: driver_id and city, each once."""
        return self.labels(since, until).select("driver_id", "city").unique("driver_id", keep="any").sort("driver_id")

    def labels(self, since: datetime, until: datetime) -> pl.DataFrame:
        """The labels of the rides that are requested in a span."""
        return self.city.labels(self.day).filter(pl.col("label_time").is_between(since, until, closed="left"))

    def rides(self) -> pl.Series:
        """The rows of the rides table that were touched since the day before, as they are by what has landed."""
        today = self._changes.filter(KNOWN.lt(self._known))
        before = self.city.ride_changes(self.day - 1)
        log = pl.concat([before, today.select(before.columns)]).sort("file", "pos")
        newest = log.group_by(pl.coalesce("after", "before").struct.field("ride_id"), maintain_order=True).last()
        return newest["after"].drop_nulls()
