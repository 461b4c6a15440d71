"""A project for what is asked under ``/v1/``: rides that come by files, beside the pings of `serving`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from headrace.platform import Platform
from headrace.types import SECOND, instant_text
from tests.integration.serving import GLOBAL, ping, project, publish

HOUR = 3_600
RIDES = """
rides = hr.EventSource(
    "rides", schema={"ride_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "fare": hr.Float64},
    event_time="ts", dedupe_on="ride_id", batch=hr.Files("landing/*.jsonl"),
)
driver_rides = hr.FeatureView(
    "driver_rides", entity=driver, source=rides, ttl="2h", freshness="1d", owner="rides@example.com", tags=["pay"],
    features={
        "fare": hr.last("fare", description="What the newest ride paid, in euros."), "n": hr.count(),
        "mean_1h": hr.mean("fare", window=hr.sliding("1h", hop="5m")),
    },
)
paying = hr.FeatureService(
    "paying", features=[driver_rides, scaled], description="What drivers earn", owner="pay@example.com", tags=["pay"],
)
pinned = hr.FeatureService("pinned", features=[driver_rides @ 1])
broken = hr.FeatureService("broken", features=[failing, driver_rides["n"]])
"""


def ride(number: int, driver: int, ago_seconds: int, fare: float, now: int) -> dict[str, Any]:
    """A ride of some time before now."""
    ts = instant_text(now - ago_seconds * SECOND)
    return {"ride_id": f"r{number}", "driver_id": driver, "ts": ts, "fare": fare}


def written(root: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """A file of rides, as it would land."""
    (root / "landing").mkdir(exist_ok=True)
    (root / "landing" / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def city(root: Path) -> tuple[Platform, int]:
    """The project with rides of two files, all published; and the time from which they are counted back."""
    now = time.time_ns() // 1_000
    platform = project(root, GLOBAL + RIDES.replace("pinned =", "# pinned =", 1))
    written(root, "a.jsonl", [ride(n, 7, 5 * HOUR - n * 1_800, n + 0.5, now) for n in range(6)])
    written(root, "b.jsonl", [ride(10, 8, 3 * HOUR, 10.0, now), ride(11, 7, 60, 11.0, now)])
    platform.ingest("rides")
    publish(platform, [ping(7, 5, 3 * HOUR), ping(7, 4, 60), ping(8, 3, 3 * HOUR, "y"), ping(9, None, 30)])
    (root / "features.py").write_text((root / "features.py").read_text().replace("# pinned =", "pinned ="))
    platform = Platform.open(root)
    platform.apply()
    return platform, now
