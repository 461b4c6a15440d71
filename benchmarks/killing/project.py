"""The project whose commands are killed: a source of each kind, and views with every kind of window, two audited."""

from __future__ import annotations

from pathlib import Path

from headrace.platform import Platform

START = "2025-01-06"
SOURCES = ("pings", "rides", "papers")
MOST = {"speed": 500.0, "fastest": 500.0, "speed_1h": 500.0, "kmh_2h": 500.0}
"""Features that show poison by a greater value."""

_SETTINGS = 'name = "kills"\nmodule = "features"\n'
_FEATURES = """
import narwhals as nw

import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
city = hr.Entity("city", keys={"city": hr.String})

pings = hr.EventSource(
    "pings",
    schema={"ping_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "seen_at": hr.Timestamp,
            "lat": hr.Float64, "speed": hr.Float64, "status": hr.String},
    event_time="ts", available_time="seen_at", dedupe_on="ping_id", max_lateness="1m",
    contract=[hr.check.between("lat", -90, 90), hr.check.is_in("status", ["free", "busy"])],
    max_rejected_share=0.5, batch=hr.Files("landing/pings/*.jsonl"),
)
rides = hr.ChangeSource(
    "rides", primary_key="ride_id",
    schema={"ride_id": hr.Int64, "driver_id": hr.Int64, "city": hr.String, "requested_at": hr.Timestamp,
            "picked_up_at": hr.Timestamp, "fare": hr.Int64},
    event_time="requested_at", batch=hr.Files("landing/rides/*.jsonl", format="debezium"),
)
papers = hr.SnapshotSource(
    "papers", primary_key="driver_id", schema={"driver_id": hr.Int64, "status": hr.String},
    batch=hr.Files("landing/papers/papers_{date}.csv"),
)


@hr.transform
def moving(pings):
    return pings.filter(nw.col("speed") > 5).with_columns(kmh=nw.col("speed") * 4)


@hr.transform
def picked_up(rides):
    waited_us = nw.col("picked_up_at").dt.timestamp("us") - nw.col("requested_at").dt.timestamp("us")
    return rides.filter(~nw.col("picked_up_at").is_null()).with_columns(wait_s=waited_us // 1_000_000)


driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="2h", features={
    "status": hr.last("status"),
    "speed": hr.last("speed"),
    "pings": hr.count(),
    "speed_total": hr.sum("speed"),
    "speed_1h": hr.mean("speed", hr.sliding("1h", hop="5m")),
    "pings_30m": hr.count(window=hr.tumbling("30m")),
    "statuses_6h": hr.count_distinct("status", window=hr.hopping("6h", "1h")),
}, checks=[hr.check.between("speed", 0, 500)])
driver_moving = hr.FeatureView("driver_moving", entity=driver, source=pings, transform=moving, features={
    "fastest": hr.max("kmh"),
    "kmh_2h": hr.mean("kmh", hr.sliding("2h", hop="15m")),
}, checks=[hr.check.between("fastest", 0, 500)])
city_wait = hr.FeatureView(
    "city_wait", entity=city, source=rides, transform=picked_up, event_time="picked_up_at",
    features={"wait_1h": hr.mean("wait_s", window=hr.tumbling("1h")), "rides": hr.count()},
)
driver_rides = hr.FeatureView("driver_rides", entity=driver, source=rides, features={
    "rides": hr.count(), "fares": hr.sum("fare"), "last_city": hr.last("city"),
})
driver_papers = hr.FeatureView("driver_papers", entity=driver, source=papers, features={"status": hr.last("status")})

drivers = hr.FeatureService("drivers", features=[driver_now, driver_moving, driver_rides, driver_papers])
cities = hr.FeatureService("cities", features=[city_wait])
"""


def make_project(root: Path) -> Platform:
    """A project with its definitions applied and no rows."""
    root.mkdir(parents=True)
    (root / "headrace.toml").write_text(_SETTINGS)
    (root / "features.py").write_text(_FEATURES)
    platform = Platform.open(root)
    platform.apply()
    return platform
