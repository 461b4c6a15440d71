"""What a reader sees while the streams run, and how old it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from data_platform.live.arriving import Arrivals
from data_platform.live.producing import now_us
from headrace import FeatureService, Platform


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of some durations, in seconds."""

    count: int
    p50: float
    p99: float

    @classmethod
    def of(cls, durations_us: Sequence[int]) -> Percentiles:
        """Of microseconds; of none, 0."""
        if not durations_us:
            return cls(0, 0.0, 0.0)
        p50, p99 = np.percentile(durations_us, [50, 99]) / 1_000_000
        return cls(len(durations_us), round(float(p50), 3), round(float(p99), 3))


@dataclass(slots=True)
class Watcher:
    """Reads the features of some drivers from the online store again and again.

    When another last ping is served than at the look before, it became fresh in between: its age is counted.

    Parameters
    ----------
    platform : Platform
        The project.
    gps : Arrivals
        When which ping came.
    drivers : sequence of int
        Who is watched.
    """

    platform: Platform
    gps: Arrivals
    drivers: Sequence[int]
    since_event_us: list[int] = field(default_factory=list)
    since_arrival_us: list[int] = field(default_factory=list)
    _last: dict[int, datetime] = field(default_factory=dict)
    _arrived_us: dict[tuple[int, datetime], int] = field(init=False)
    _service: FeatureService = field(init=False)

    def __post_init__(self) -> None:
        """Note when the watched drivers' pings came."""
        view = self.platform.definitions.view("driver_now")
        self._service = FeatureService("watched_drivers", features=[view])
        theirs = self.gps.rows.filter(pl.col("driver_id").is_in(self.drivers), pl.col("fault").is_null())
        due_us = theirs["received_at"].dt.epoch("us")
        self._arrived_us = dict(zip(zip(theirs["driver_id"], theirs["ts"], strict=True), due_us, strict=True))

    def look(self) -> dict[int, dict[str, Any]]:
        """What is served now, by driver."""
        served = self.platform.online(self._service, {"driver_id": self.drivers}).to_dicts()
        seen_us = now_us()
        for row in served:
            self._note(row["driver_id"], row["driver_now__last_ping"], seen_us)
        return {row["driver_id"]: row for row in served}

    def _note(self, driver: int, ping: datetime | None, seen_us: int) -> None:
        if ping is None:
            return
        before = self._last.get(driver)
        self._last[driver] = ping
        arrived_us = self._arrived_us.get((driver, ping))
        if before is None or ping == before or arrived_us is None:
            return
        self.since_arrival_us.append(seen_us - arrived_us)
        self.since_event_us.append(seen_us - round(ping.timestamp() * 1_000_000))


def city_waits(platform: Platform, cities: Sequence[str]) -> dict[str, float | None]:
    """The mean wait of each city, as it is served now."""
    service = FeatureService("watched_cities", features=[platform.definitions.view("city_wait")])
    served = platform.online(service, {"city": cities}).to_dicts()
    return {row["city"]: row["city_wait__wait_mean_5m"] for row in served}
