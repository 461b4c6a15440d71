"""Where rows come from, what they must look like, and when they count.

The three streams of the platform begin on 2026-01-05.
"""

import headrace as hr

gps = hr.EventSource(
    "gps",
    schema={
        "event_id": hr.String,
        "driver_id": hr.Int64,
        "ts": hr.Timestamp,
        "received_at": hr.Timestamp,
        "lat": hr.Float64,
        "lon": hr.Float64,
        "speed_mps": hr.Float64,
        "status": hr.String,
    },
    event_time="ts",
    available_time="received_at",  # phones send late; a feature may not know a ping before the platform did
    max_lateness="10s",
    complete_from="2026-01-05",
    dedupe_on="event_id",
    required="driver_id",
    contract=[
        hr.check.between("lat", -90, 90),
        hr.check.between("lon", -180, 180),
        hr.check.between("speed_mps", 0, 70),
        hr.check.is_in("status", ["available", "on_trip", "offline"]),
    ],
    batch=hr.Files("landing/gps/*.parquet"),
    stream=hr.Kafka(topic="gps"),
    owner="dispatch@example.com",
)

rides = hr.ChangeSource(
    "rides",
    primary_key="ride_id",
    schema={
        "ride_id": hr.Int64,
        "rider_id": hr.Int64,
        "driver_id": hr.Int64,  # null until a driver accepts
        "city": hr.String,
        "pickup_lat": hr.Float64,
        "pickup_lon": hr.Float64,
        "status": hr.String,
        "requested_at": hr.Timestamp,
        "accepted_at": hr.Timestamp,
        "picked_up_at": hr.Timestamp,
        "completed_at": hr.Timestamp,
        "fare": hr.Decimal(10, 2),
        "rating": hr.Int64,
        "phone": hr.String,
    },
    event_time="requested_at",
    max_lateness="2s",  # a pick-up is read from the log within a second or so
    complete_from="beginning",  # the connector's first snapshot brings the whole table
    required="city",
    contract=[
        hr.check.between("pickup_lat", -90, 90),
        hr.check.between("pickup_lon", -180, 180),
        hr.check.is_in("status", ["requested", "accepted", "picked_up", "completed", "cancelled"]),
        hr.check.between("fare", 0),
        hr.check.between("rating", 1, 5),
    ],
    personal={"phone": hr.mask.hmac()},
    batch=hr.Files("landing/rides/*.jsonl", format="debezium"),
    stream=hr.Debezium(topic="platform.rides.rides"),
    owner="dispatch@example.com",
)

driver_documents = hr.SnapshotSource(
    "driver_documents",
    primary_key="driver_id",
    schema={
        "driver_id": hr.Int64,
        "full_name": hr.String,
        "phone": hr.String,
        "licence_no": hr.String,
        "vehicle_id": hr.String,
        "inspection_passed_on": hr.Date,
        "inspection_valid_days": hr.Int64,
        "onboarded_on": hr.Date,
        "document_status": hr.String,
    },
    known_after="2h30m",  # the file of a day lands at 02:30 of the next
    complete_from="2026-01-06T02:30:00Z",
    contract=[
        hr.check.between("inspection_valid_days", 1, 3650),
        hr.check.is_in("document_status", ["approved", "pending", "rejected"]),
    ],
    personal={"full_name": hr.mask.drop(), "phone": hr.mask.hmac(), "licence_no": hr.mask.hmac()},
    batch=hr.Files("landing/driver_documents/driver_documents_{date}.csv"),
    owner="onboarding@example.com",
)
