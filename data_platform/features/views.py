"""The features."""

import headrace as hr

from .entities import cell, city, driver
from .sources import driver_documents, gps, rides
from .transforms import at_pickup_cell, picked_up

driver_now = hr.FeatureView(
    "driver_now",
    entity=driver,
    source=gps,
    ttl="10m",
    features={
        "last_ping": hr.last("ts"),
        "status": hr.last("status"),
        "speed_mean_5m": hr.mean("speed_mps", window=hr.sliding("5m", hop="30s"), where="status <> 'offline'"),
    },
    # 126 km/h: one in thousands is faster for five minutes, never one in two hundred on the same day
    checks=[hr.check.between("speed_mean_5m", 0, 35, max_failing_share=0.005)],
    freshness="30s",
    description="Where a driver stands in the day: the last ping, and the traffic around.",
    owner="dispatch@example.com",
    tags=["real-time"],
)

cell_demand = hr.FeatureView(
    "cell_demand",
    entity=cell,
    source=rides,
    transform=at_pickup_cell,
    features={"requests_15m": hr.count(window=hr.sliding("15m", hop="1m"))},
    freshness="30s",
    description="The demand heatmap: requests a square kilometre. Test rides, deleted later, drop out when they are.",
    owner="dispatch@example.com",
    tags=["real-time"],
)

city_wait = hr.FeatureView(
    "city_wait",
    entity=city,
    source=rides,
    transform=picked_up,
    event_time="picked_up_at",  # a wait is over at the pick-up; by the time of request, long waits would be missing
    features={"wait_mean_5m": hr.mean("wait_s", window=hr.tumbling("5m"))},
    checks=[hr.check.between("wait_mean_5m", 0, 3600)],
    freshness="5m30s",
    description="Mean seconds from request to pick-up over the last whole five minutes.",
    owner="dispatch@example.com",
    tags=["streaming"],
)

driver_wait = hr.FeatureView(
    "driver_wait",
    entity=driver,
    source=rides,
    transform=picked_up,
    event_time="picked_up_at",
    features={"last_wait_s": hr.last("wait_s")},
    description="How long the driver's latest rider waited.",
    owner="dispatch@example.com",
    tags=["streaming"],
)

driver_rating = hr.FeatureView(
    "driver_rating",
    entity=driver,
    source=rides,
    where="rating IS NOT NULL",
    features={"rating_mean": hr.mean("rating"), "ratings": hr.count()},
    checks=[hr.check.between("rating_mean", 1, 5)],
    description="Lifetime rating: corrected ratings replace, re-assigned rides move, deleted rides go.",
    owner="quality@example.com",
    tags=["batch"],
)

driver_papers = hr.FeatureView(
    "driver_papers",
    entity=driver,
    source=driver_documents,
    features={
        "passed_on": hr.last("inspection_passed_on"),
        "valid_days": hr.last("inspection_valid_days"),
        "document_status": hr.last("document_status"),
    },
    freshness="26h30m",
    description="What the newest file says of a driver; whether an inspection still holds depends on when one asks.",
    owner="onboarding@example.com",
    tags=["batch"],
)
