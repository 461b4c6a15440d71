"""A small project of pings, with rows that are put into silver directly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headrace.platform import Platform
from headrace.testing import silver
from headrace.types import DAY, SECOND, instant

START = instant("2026-01-05")
NOW = instant("2026-03-01")

SETTINGS = 'name = "pings"\nmodule = "features"\n'
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
pings = hr.EventSource(
    "pings",
    schema={"ping_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "seen_at": hr.Timestamp,
            "speed": hr.Float64, "n": hr.Int64},
    event_time="ts", available_time="seen_at", dedupe_on="ping_id",
)
driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="2h", features={
    "n": hr.last("n"),
    "rows": hr.count(),
    "total": hr.sum("n"),
    "speed_1h": hr.mean("speed", hr.sliding("1h", hop="5m")),
    "rows_30m": hr.count(window=hr.tumbling("30m")),
    "kinds": hr.count_distinct("n"),
})
model = hr.FeatureService("model", features=[driver_now])
"""


def project(root: Path) -> Platform:
    """A project with its definitions applied, and no rows."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "headrace.toml").write_text(SETTINGS)
    (root / "features.py").write_text(FEATURES)
    platform = Platform.open(root, clock=lambda: NOW)
    platform.apply()
    return platform


def some_rows(seed: int, days: int, n: int, drivers: int = 5) -> list[dict[str, Any]]:
    """Rows over some days; each tenth is known hours late."""
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        ts = START + rng.randrange(days * DAY // SECOND) * SECOND
        late = rng.choice([0] * 9 + [rng.randrange(30) * 3600]) * SECOND
        rows.append({
            "ping_id": f"{seed}-{index}", "driver_id": rng.randrange(drivers), "ts": ts, "seen_at": ts + late,
            "speed": rng.choice([1.0, 2.5, None, 30.0, 1e15]), "n": rng.randrange(20),
        })  # fmt: skip
    return rows


def put(platform: Platform, rows: Sequence[dict[str, Any]]) -> None:
    """Commit rows to silver, one commit."""
    frame = silver(platform.definitions.source("pings"), rows)
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", "pings")
    staged = [
        table.stage(part, {"_hr_day": str(day[0])}) for day, part in frame.partition_by("_hr_day", as_dict=True).items()
    ]
    least = frame["_hr_known"].dt.epoch("us").min()
    table.commit(
        staged, schema=frame.schema, mode="append", partition_by=["_hr_day"], metadata={"min_known_us": str(least)}
    )


def gold(platform: Platform) -> pl.DataFrame:
    """All steps in gold, sorted."""
    from headrace.platform.gold import Gold

    found = Gold.of(platform.context, platform.definitions.view("driver_now"))
    return found.scan().drop("_hr_day").sort("driver_id", "valid_from").collect()
