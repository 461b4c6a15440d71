"""Uber's pickups in New York: demand by base, by cell and in the whole city."""

from __future__ import annotations

from typing import Any

import narwhals as nw

import headrace as hr

# The bases report every quarter of an hour; times are New York's, to the minute.
pickups = hr.EventSource(
    "pickups",
    schema={
        "source_row": hr.Int64, "pickup_datetime": hr.Timestamp, "lat": hr.Float64, "lon": hr.Float64,
        "base": hr.String,
    },
    event_time="pickup_datetime",
    timezone="America/New_York",
    known_after="15m",
    sequence="source_row",
    dedupe_on=["pickup_datetime", "lat", "lon", "base"],
    required="source_row",
    contract=[
        hr.check.between("lat", 40.4, 41.1),
        hr.check.between("lon", -74.3, -73.5),
        hr.check.matches("base", r"B\d{5}"),
    ],
    max_rejected_share=0.01,
    batch=hr.Files("landing/pickups_*.parquet"),
)  # fmt: skip

base = hr.Entity("base", keys={"base": hr.String})
cell = hr.Entity("cell", keys={"lat_cell": hr.Int64, "lon_cell": hr.Int64})


@hr.transform
def in_cells(rows: Any) -> Any:
    """Cells of a hundredth of a degree, and text that names them."""
    return rows.with_columns(
        lat_cell=(nw.col("lat") * 100).floor().cast(nw.Int64), lon_cell=(nw.col("lon") * 100).floor().cast(nw.Int64)
    ).with_columns(cell=nw.concat_str(nw.col("lat_cell").cast(nw.String), nw.col("lon_cell").cast(nw.String)))


base_demand = hr.FeatureView("base_demand", entity=base, source=pickups, features={
    "pickups_1h": hr.count(window=hr.sliding("1h", hop="5m")),
    "pickups_yesterday": hr.count(window=hr.tumbling("1d", offset="4h")),
    "pickups_last_week": hr.count(window=hr.tumbling("7d", offset="4d4h")),
    "lat_stddev_6h": hr.stddev("lat", hr.sliding("6h", hop="1h")),
    "lon_mean_6h": hr.mean("lon", hr.sliding("6h", hop="1h")),
    "lat_p50_3h": hr.quantile("lat", 0.5, hr.hopping("3h", hop="1h"), error=0.001),
    "last_lat": hr.last("lat"),
    "last_lons": hr.last_n("lon", 4, hr.sliding("1h", hop="10m")),
    "first_row_1d": hr.first("source_row", hr.sliding("1d", hop="1h")),
})  # fmt: skip
cell_demand = hr.FeatureView(
    "cell_demand", entity=cell, source=pickups, transform=in_cells, resolution="5m", ttl="1h", features={
        "pickups": hr.count(),
        "pickups_30m": hr.count(window=hr.hopping("30m", hop="10m")),
        "bases": hr.count_distinct("base"),
        "bases_1h": hr.count_distinct("base", hr.tumbling("1h")),
        "last_base": hr.last("base"),
        "last_row": hr.last("source_row", where=hr.col("base") == "B02598"),
        "first_pickup": hr.first("pickup_datetime"),
        "lon_max_2h": hr.max("lon", hr.sliding("2h", hop="20m")),
        "lat_min_2h": hr.min("lat", hr.sliding("2h", hop="20m")),
        "row_sum": hr.sum("source_row"),
    },
)  # fmt: skip
city_demand = hr.FeatureView("city_demand", entity=None, source=pickups, transform=in_cells, resolution="1m", features={
    "pickups_1h": hr.count(window=hr.tumbling("1h")),
    "cells_approx_1h": hr.count_distinct("cell", hr.sliding("1h", hop="10m"), approximate=True),
    "cells_1h": hr.count_distinct("cell", hr.sliding("1h", hop="10m")),
    "lat_stddev_1h": hr.stddev("lat", hr.sliding("1h", hop="10m")),
})  # fmt: skip
everything = hr.FeatureService("everything", features=[base_demand, cell_demand, city_demand])
