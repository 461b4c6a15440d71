"""Buses in Austin: where each one is and how it moves, and how fast the streets are."""

from __future__ import annotations

from typing import Any

import narwhals as nw

import headrace as hr

pings = hr.EventSource(
    "pings",
    schema={
        "vehicle_id": hr.Int64, "ping_ts": hr.Timestamp, "lat": hr.Float64, "lon": hr.Float64,
        "speed_mps": hr.Float64, "route_id": hr.String, "trip_id": hr.String, "trip_headsign": hr.String,
        "file_day": hr.String,
    },
    event_time="ping_ts",
    dedupe_on=["vehicle_id", "ping_ts"],
    max_lateness="2m",
    required=["lat", "lon", "speed_mps", "route_id", "trip_id"],
    contract=[
        hr.check.between("lat", 29.5, 31.0),
        hr.check.between("lon", -98.5, -97.0),
        hr.check.between("speed_mps", 0, 40),
        hr.check.matches("file_day", r"\d{4}-\d{2}-\d{2}"),
    ],
    max_rejected_share=0.02,
    batch=hr.Files("landing/pings_*.parquet"),
)  # fmt: skip

vehicle = hr.Entity("vehicle", keys={"vehicle_id": hr.Int64})
vehicle_on_route = hr.Entity("vehicle_on_route", keys={"vehicle_id": hr.Int64, "route_id": hr.String})
cell = hr.Entity("cell", keys={"lat_cell": hr.Int64, "lon_cell": hr.Int64})


@hr.transform
def in_cells(rows: Any) -> Any:
    """Cells of a hundredth of a degree."""
    return rows.with_columns(
        lat_cell=(nw.col("lat") * 100).floor().cast(nw.Int64), lon_cell=(nw.col("lon") * 100).floor().cast(nw.Int64)
    )


vehicle_now = hr.FeatureView("vehicle_now", entity=vehicle, source=pings, ttl="10m", features={
    "last_speed": hr.last("speed_mps"),
    "last_route": hr.last("route_id"),
    "last_headsign": hr.last("trip_headsign"),
    "last_known_headsign": hr.last("trip_headsign", skip_nulls=True),
    "first_trip": hr.first("trip_id"),
    "last_trips": hr.last_n("trip_id", 3),
    "pings": hr.count(),
    "pings_10m": hr.count(window=hr.sliding("10m", hop="1m")),
    "speed_mean_10m": hr.mean("speed_mps", hr.sliding("10m", hop="1m")),
    "speed_stddev_1h": hr.stddev("speed_mps", hr.sliding("1h", hop="5m")),
    "speed_p90_1h": hr.quantile("speed_mps", 0.9, hr.sliding("1h", hop="5m")),
    "speed_max_1h": hr.max("speed_mps", hr.hopping("1h", hop="15m")),
    "lat_min_1h": hr.min("lat", hr.hopping("1h", hop="15m", offset="4m")),
    "moving_30m": hr.count(window=hr.tumbling("30m", offset="7m"), where=hr.col("speed_mps") > 1.0),
    "last_moving_route": hr.last("route_id", hr.sliding("30m", hop="30s"), where="speed_mps > 1.0"),
    "routes_of_day": hr.count_distinct("route_id", hr.tumbling("1d", offset="10h")),
    "trips_approx": hr.count_distinct("trip_id", approximate=True),
})  # fmt: skip
on_route = hr.FeatureView("on_route", entity=vehicle_on_route, source=pings, features={
    "pings": hr.count(),
    "speed_mean": hr.mean("speed_mps"),
    "last_seen": hr.last("ping_ts"),
    "trips_6h": hr.count_distinct("trip_id", hr.sliding("6h", hop="10m")),
})  # fmt: skip
cell_now = hr.FeatureView(
    "cell_now", entity=cell, source=pings, transform=in_cells, where="speed_mps > 0", resolution="1m", features={
        "pings_15m": hr.count(window=hr.sliding("15m", hop="1m")),
        "speed_mean_15m": hr.mean("speed_mps", hr.sliding("15m", hop="1m")),
        "vehicles_1h": hr.count_distinct("vehicle_id", hr.hopping("1h", hop="5m")),
        "last_vehicle": hr.last("vehicle_id"),
    },
)  # fmt: skip
everything = hr.FeatureService("everything", features=[vehicle_now, on_route, cell_now])
