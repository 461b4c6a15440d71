"""Definitions that several tests share, and functions that can be found by their dotted path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import headrace as hr
from headrace.definitions.sources import EventSource
from headrace.definitions.views import FeatureView

SCHEMA = {
    "event_id": hr.String,
    "driver_id": hr.Int64,
    "ts": hr.Timestamp,
    "speed": hr.Float64,
    "status": hr.String,
    "path": hr.List(hr.Float64),
}

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
cell = hr.Entity("cell", keys={"city": hr.String, "cell_id": hr.UInt32})
gps = hr.EventSource("gps", schema=SCHEMA, event_time="ts", dedupe_on="event_id", max_lateness="10s")
rides = hr.ChangeSource("rides", schema=SCHEMA, event_time="ts", primary_key="event_id")
documents = hr.SnapshotSource(
    "documents",
    schema={"driver_id": hr.Int64, "passed": hr.Bool},
    primary_key="driver_id",
    batch=hr.Files("documents_{date}.csv"),
)


@hr.transform
def moving(rows: Any) -> Any:
    return rows


@hr.transform(version="2")
def renamed(rows: Any) -> Any:
    return rows


def plain(rows: Any) -> Any:
    return rows


driver_now = hr.FeatureView(
    "driver_now",
    entity=driver,
    source=gps,
    ttl="10m",
    features={"last_ping": hr.last("ts"), "speed_mean": hr.mean("speed", window=hr.sliding("5m", hop="30s"))},
)


@hr.on_demand(inputs=[driver_now], request={"now": hr.RequestTime(), "zone": hr.Int64}, outputs={"free": hr.Bool})
def available(last_ping: Any, now: Any) -> Any:
    return now - last_ping


def source(**options: Any) -> EventSource:
    """An event source like `gps` with other options."""
    return hr.EventSource("gps", **{"schema": SCHEMA, "event_time": "ts", **options})


def view(**options: Any) -> FeatureView:
    """A view like `driver_now` with other options."""
    return hr.FeatureView("v", **{"entity": driver, "source": gps, "features": {"n": hr.count()}, **options})


Build = Callable[[], Any]
