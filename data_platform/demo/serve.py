"""Chapter 6: what a training set says of a moment, asked over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from data_platform.demo.arriving import ArrivingDay
from data_platform.demo.asking import Server, differing, read_offline
from data_platform.demo.telling import Teller
from headrace import Platform

ARRIVING: Final = ("driver_now", "driver_rating", "cell_demand", "city_wait", "driver_wait")
"""The views whose rows arrive during the day; driver_papers gets its file at night."""
_HEADINGS: Final = ("driver", "city", "speed, m/s", "city's wait, s", "rating", "ratings", "last wait, s")
_SHOWN: Final = 4


def serve(tell: Teller, platform: Platform, server: Server, day: ArrivingDay) -> dict[str, int]:
    """Let a morning arrive, publish it, and compare what the server answers with a training set."""
    with tell.chapter(
        "Serve", "The next morning arrives and is published, offline and online at once. `headrace serve` answers."
    ):
        day.land_pings(2)
        day.land_rides(until=day.at(12))
        platform.ingest()
        publish(platform, ARRIVING, day.at(12))
        asked, at = day.drivers(day.at(10), day.at(12)), day.at(12, seconds=-30)
        online, offline = server.ask(asked, at), read_offline(platform, asked, at)
        differ = differing(online, offline)
        values = online.select(pl.exclude(asked.columns))
        shown = online.sort(pl.sum_horizontal(pl.all().is_null()), maintain_order=True).head(_SHOWN)
        tell.table(_HEADINGS, shown.cast({"driver_id": pl.String}).rows())
        tell.say(
            f"Asked over HTTP for {len(asked):,} drivers as of {at:%H:%M:%S}. Of {values.height * values.width:,} "
            f"values {differ} differ from a training set of that moment."
        )
    present = values.select(pl.sum_horizontal(pl.all().count())).item()
    return {"drivers": len(asked), "present": present, "differing": differ}


def publish(platform: Platform, views: tuple[str, ...], until: datetime) -> None:
    """Backfill views up to a moment of the day, as an hourly run would."""
    for view in views:
        platform.backfill(view, end=until)
