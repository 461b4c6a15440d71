"""Yellow taxis in New York: demand and fares by zone and by trip, and what the zones are called."""

from __future__ import annotations

from typing import Any

import narwhals as nw

import headrace as hr

# A meter sends its trip ten minutes after the passenger left. Times are New York's. The month of the file is
# not declared: it is kept as a column that was added upstream.
trips = hr.EventSource(
    "trips",
    schema={
        "vendor_id": hr.Int64, "pickup_datetime": hr.Timestamp, "dropoff_datetime": hr.Timestamp,
        "passenger_count": hr.Int64, "trip_distance": hr.Float64, "rate_code_id": hr.Int64,
        "store_and_fwd_flag": hr.String, "pickup_location_id": hr.Int64, "dropoff_location_id": hr.Int64,
        "payment_type": hr.Int64, "fare_amount": hr.Float64, "extra": hr.Float64, "mta_tax": hr.Float64,
        "tip_amount": hr.Float64, "tolls_amount": hr.Float64, "improvement_surcharge": hr.Float64,
        "total_amount": hr.Float64, "congestion_surcharge": hr.Float64,
    },
    event_time="pickup_datetime",
    available_time="dropoff_datetime",
    timezone="America/New_York",
    known_after="10m",
    dedupe_on=["pickup_datetime", "dropoff_datetime", "pickup_location_id", "dropoff_location_id", "total_amount"],
    required=["fare_amount", "trip_distance"],
    contract=[
        hr.check.between("pickup_datetime", "2018-01-01T00:00:00-05:00", "2020-12-31T23:59:59-05:00"),
        hr.check.between("fare_amount", 0, 1000),
        hr.check.between("trip_distance", 0, 200),
        hr.check.between("passenger_count", 0, 6),
        hr.check.is_in("rate_code_id", [1, 2, 3, 4, 5, 6]),
        hr.check.is_in("store_and_fwd_flag", ["N", "Y"]),
    ],
    max_rejected_share=0.02,
    batch=hr.Files("landing/trips_*.parquet"),
)  # fmt: skip
# A list of all zones; the list of a day is there at half past two in the following night.
zones = hr.SnapshotSource(
    "zones",
    schema={"location_id": hr.Int64, "borough": hr.String, "zone": hr.String},
    primary_key="location_id",
    timezone="America/New_York",
    known_after="2h30m",
    required=["borough", "zone"],
    batch=hr.Files("landing/zones_{date}.parquet"),
)

zone = hr.Entity("zone", keys={"zone_id": hr.Int64})
borough = hr.Entity("borough", keys={"borough": hr.String})
route = hr.Entity("route", keys={"pickup_zone": hr.Int64, "dropoff_zone": hr.Int64})


@hr.transform
def in_cents(rows: Any) -> Any:
    """Amounts in whole cents, and how long a trip took."""
    return rows.with_columns(
        total_cents=(nw.col("total_amount") * 100).round().cast(nw.Int64),
        trip_seconds=(nw.col("dropoff_datetime") - nw.col("pickup_datetime")).dt.total_seconds(),
    )


zone_demand = hr.FeatureView(
    "zone_demand", entity=zone, source=trips, transform=in_cents, keys={"zone_id": "pickup_location_id"}, features={
        "trips_1d": hr.count(window=hr.sliding("1d", hop="5m")),
        "cents": hr.sum("total_cents"),
        "cents_7d": hr.sum("total_cents", hr.sliding("7d", hop="1h")),
        "fare_mean": hr.mean("fare_amount"),
        "fare_stddev_7d": hr.stddev("fare_amount", hr.sliding("7d", hop="1h")),
        "tip_p75_14d": hr.quantile("tip_amount", 0.75, hr.sliding("14d", hop="1d"), error=0.02),
        "distance_min_3d": hr.min("trip_distance", hr.hopping("3d", hop="1d", offset="5h"), where="trip_distance > 0"),
        "distance_max_3d": hr.max("trip_distance", hr.hopping("3d", hop="1d", offset="5h")),
        "passengers_30d": hr.sum("passenger_count", hr.tumbling("30d")),
        "surcharged": hr.count("congestion_surcharge"),
        "cash_7d": hr.count(window=hr.sliding("7d", hop="1d"), where=hr.col("payment_type") == 2),
        "seconds_mean_7d": hr.mean("trip_seconds", hr.sliding("7d", hop="1h")),
        "longest_seconds": hr.max("trip_seconds"),
        "goals_30d": hr.count_distinct("dropoff_location_id", hr.sliding("30d", hop="1d")),
        "goals_approx": hr.count_distinct("dropoff_location_id", approximate=True),
    },
)  # fmt: skip
route_now = hr.FeatureView(
    "route_now", entity=route, source=trips, ttl="30d",
    keys={"pickup_zone": "pickup_location_id", "dropoff_zone": "dropoff_location_id"}, features={
        "trips": hr.count(),
        "last_fare": hr.last("fare_amount"),
        "last_flag": hr.last("store_and_fwd_flag"),
        "last_cash_fare": hr.last("fare_amount", where=hr.col("payment_type") == 2),
        "first_pickup": hr.first("pickup_datetime"),
        "last_fares": hr.last_n("fare_amount", 3),
        "fare_mean_90d": hr.mean("fare_amount", hr.sliding("90d", hop="1d")),
    },
)  # fmt: skip
zone_names = hr.FeatureView("zone_names", entity=zone, source=zones, keys={"zone_id": "location_id"}, features={
    "borough": hr.last("borough"),
    "zone": hr.last("zone"),
})  # fmt: skip
borough_zones = hr.FeatureView("borough_zones", entity=borough, source=zones, features={
    "zones": hr.count(),
    "names": hr.count_distinct("zone"),
    "least_id": hr.min("location_id"),
})  # fmt: skip
everything = hr.FeatureService("everything", features=[
    zone_demand.alias("pickup_demand", keys={"zone_id": "pickup_zone"}),
    route_now,
    zone_names.alias("pickup_name", keys={"zone_id": "pickup_zone"}),
    zone_names.alias("dropoff_name", keys={"zone_id": "dropoff_zone"}),
    borough_zones,
])  # fmt: skip
