"""Chapter 8: a version that passed its audit and is wrong, taken back, and made right by its own source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from data_platform.demo.arriving import ArrivingDay
from data_platform.demo.asking import Server, differing, read_offline
from data_platform.demo.serve import ARRIVING, publish
from data_platform.demo.telling import Teller
from headrace import Platform

VIEW: Final = "driver_rating"
REASON: Final = "a bulk update set ratings to 1"
_MEAN: Final = f"{VIEW}__rating_mean"


def take_back(tell: Teller, platform: Platform, server: Server, day: ArrivingDay) -> dict[str, Any]:
    """Let a bulk update spoil the ratings, roll the view back, and let the corrections arrive."""
    with tell.chapter(
        "A version taken back", "A bulk update sets the ratings of two days to 1. The audit can't know: 1 is a rating."
    ):
        readers = _Readers(platform, server, day)
        before = readers.read("before")
        rides = _rated(day.rides())
        ones = _with_ones(rides)
        day.update_rides(day.at(17, 59, 10), rides, ones)
        platform.ingest("rides")
        publish(platform, (VIEW,), day.at(18))
        readers.read("after the bulk update")
        platform.rollback(VIEW, reason=REASON)
        back = readers.read("rolled back")
        held = next(status.held for status in platform.view_status() if status.view == VIEW)
        day.update_rides(day.at(18, 0, 40), ones, rides)
        platform.ingest("rides")
        platform.release(VIEW)
        publish(platform, ARRIVING, day.at(18, 1))
        corrected = readers.read("corrected, released", later_seconds=65)
        tell.table(("mean rating of drivers", "version served", "online", "offline"), readers.rows)
        tell.say(
            f"{len(rides):,} rides got the rating 1. The rollback gave all readers the old content under a new number, "
            f'and held the view, as the next run would bring the bad rows back; headrace status says "{held}". Then '
            f"the change log brought the true ratings: {differing(before, corrected)} values are not as they were."
        )
    return {
        "rides": len(rides), "held": held, "rows": readers.rows, "rolled_back_differing": differing(before, back),
        "corrected_differing": differing(before, corrected),
    }  # fmt: skip


@dataclass(slots=True)
class _Readers:
    """Whoever reads the ratings, online and offline, and what they read so far."""

    platform: Platform
    server: Server
    day: ArrivingDay
    rows: list[tuple[str, int, float, float]] = field(default_factory=list)

    def read(self, when: str, later_seconds: int = 0) -> pl.DataFrame:
        """Read the ratings of the day's drivers a few seconds before the evening, or later; returns what is online."""
        at = self.day.at(17, 59, 50 + later_seconds)
        asked = self.day.drivers(self.day.at(10), self.day.at(18))
        online = self.server.ask(asked, at)
        offline = read_offline(self.platform, asked, at)
        self.rows.append((when, self.server.version(VIEW), _mean(online), _mean(offline)))
        return online.select(pl.selectors.starts_with(VIEW))


def _mean(answer: pl.DataFrame) -> float:
    return float(answer.select(pl.col(_MEAN).mean()).item())


def _rated(rides: pl.Series) -> pl.Series:
    return rides.filter(rides.struct.field("rating").is_not_null())


def _with_ones(rides: pl.Series) -> pl.Series:
    return (
        rides.to_frame("ride").select(pl.col("ride").struct.with_fields(rating=pl.lit(1, dtype=pl.Int64))).to_series()
    )
