"""Small projects to verify: one with a source of each kind, one with the faults that a verification has to name."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.platform.verify import VerifyReport
from headrace.testing import silver
from headrace.types import DAY, SECOND, instant

START = instant("2026-01-05")
END = START + 4 * DAY
NOW = END + 3_600 * SECOND
"""An hour behind the frontier."""

FEATURES = """
import narwhals as nw
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
place = hr.Entity("place", keys={"driver_id": hr.Int64, "zone": hr.String})
person = hr.Entity("person", keys={"phone": hr.String})
pings = hr.EventSource(
    "pings",
    schema={"ping_id": hr.String, "driver_id": hr.Int64, "zone": hr.String, "phone": hr.String, "ts": hr.Timestamp,
            "seen_at": hr.Timestamp, "speed": hr.Float64, "n": hr.Int64, "fee": hr.Decimal(10, 2), "day": hr.Date},
    event_time="ts", available_time="seen_at", dedupe_on="ping_id", personal={"phone": hr.mask.hmac()},
)
rides = hr.ChangeSource(
    "rides", primary_key="ride_id", event_time="asked_at",
    schema={"ride_id": hr.Int64, "driver_id": hr.Int64, "asked_at": hr.Timestamp, "fare": hr.Float64},
)
papers = hr.SnapshotSource(
    "papers", primary_key="driver_id", known_after="2h30m",
    schema={"driver_id": hr.Int64, "grade": hr.Int64, "until": hr.Date},
)

@hr.transform
def fast(rows):
    return rows.filter(nw.col("speed") > 1.0).with_columns(twice=nw.col("speed") * 2)

driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="2h", features={
    "n": hr.last("n"), "day": hr.last("day"), "seen": hr.max("ts"), "zones": hr.last_n("zone", 3), "rows": hr.count(),
    "fees": hr.sum("fee"), "speed": hr.sum("speed"), "speed_1h": hr.mean("speed", hr.sliding("1h", hop="5m")),
    "apart_1d": hr.stddev("speed", hr.sliding("1d", hop="5m")), "rows_30m": hr.count(window=hr.tumbling("30m")),
    "kinds": hr.count_distinct("n"), "p90": hr.quantile("speed", 0.9, hr.sliding("6h", hop="1h")),
})
tiled = hr.FeatureView("tiled", entity=driver, source=pings, features={
    "rows_1d": hr.count(window=hr.sliding("1d", hop="5m")), "speed_1d": hr.mean("speed", hr.sliding("1d", hop="5m")),
    "apart_1d": hr.variance("speed", hr.sliding("1d", hop="5m")), "rows": hr.count(),
})
recent = hr.FeatureView("recent", entity=driver, source=pings, features={
    "rows_6h": hr.count(window=hr.sliding("6h", hop="1h")), "speed_6h": hr.mean("speed", hr.sliding("6h", hop="1h"))})
place_now = hr.FeatureView("place_now", entity=place, source=pings, where="n > 3", resolution="10s", features={
    "rows": hr.count(), "first": hr.first("n")})
person_now = hr.FeatureView("person_now", entity=person, source=pings, features={"rows": hr.count()})
city_now = hr.FeatureView("city_now", entity=None, source=pings, features={
    "rows": hr.count(), "rows_1h": hr.count(window=hr.hopping("1h", hop="15m"))})
fast_now = hr.FeatureView("fast_now", entity=driver, source=pings, transform=fast, online=False, features={
    "rows": hr.count(), "twice": hr.mean("twice", hr.sliding("6h", hop="1h"))})
ride_now = hr.FeatureView("ride_now", entity=driver, source=rides, ttl="6h", features={
    "rides": hr.count(), "fares": hr.sum("fare"), "last": hr.last("fare"),
    "most_1d": hr.max("fare", hr.sliding("1d", hop="1h"))})
paper_now = hr.FeatureView("paper_now", entity=driver, source=papers, features={
    "grade": hr.last("grade"), "until": hr.last("until"), "papers": hr.count()})
model = hr.FeatureService("model", features=[driver_now])
"""


@dataclass
class Clock:
    """A clock that tests set."""

    now: int = NOW

    def __call__(self) -> int:
        """What it shows, in microseconds."""
        return self.now


def project(root: Path, clock: Callable[[], int] | None = None, features: str = FEATURES) -> Platform:
    """A project with its definitions applied."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "headrace.toml").write_text('name = "verifying"\nmodule = "features"\n')
    (root / "features.py").write_text(features)
    platform = Platform.open(root, clock=clock or Clock())
    platform.apply()
    return platform


def pings(seed: int, day: int, n: int = 150) -> list[dict[str, Any]]:
    """Pings of one day, a tenth of them known an hour late, with values far apart."""
    rng = random.Random(seed)
    rows = []
    for index in range(n):
        ts = START + day * DAY + rng.randrange(22 * 3600) * SECOND
        late = rng.choice([0] * 9 + [3600]) * SECOND
        driver = rng.randrange(8)
        rows.append({
            "ping_id": f"{seed}-{index}", "driver_id": driver, "zone": rng.choice(["a", "b", "c:d"]),
            "phone": f"+49 {driver}", "ts": ts, "seen_at": ts + late, "n": rng.randrange(20),
            "speed": rng.choice([0.1, 2.5, None, 30.0, 1e15, -1e15]), "fee": "1.10",
            "day": None if index % 7 == 0 else (ts // DAY),
        })  # fmt: skip
    return rows


def rides(seed: int) -> list[dict[str, Any]]:
    """A log of rides that are inserted, updated, moved to another driver and deleted, over all days."""
    rng = random.Random(seed)
    log: list[dict[str, Any]] = []
    live: dict[int, int] = {}
    for step in range(300):
        known = START + step * (END - START) // 300
        ride = rng.choice(list(live)) if live and rng.random() < 0.5 else step
        op = "insert" if ride not in live else rng.choice(["update", "update", "delete"])
        asked = live.get(ride, known - rng.randrange(100) * SECOND)
        row = {"ride_id": ride, "driver_id": rng.randrange(6), "asked_at": asked, "fare": rng.choice([1.5, 0.1, 1e12])}
        log.append({**row, "_op": op, "_known": known})
        live[ride] = asked
        if op == "delete":
            del live[ride]
    return log


def papers(seed: int) -> list[dict[str, Any]]:
    """A file a day, in which some drivers are missing."""
    rng = random.Random(seed)
    days = [START // DAY + day for day in range(4)]
    return [
        {"driver_id": driver, "grade": rng.randrange(5), "until": day + 30, "_snapshot": day}
        for day in days for driver in range(6) if rng.random() < 0.7
    ]  # fmt: skip


def put(platform: Platform, source: str, rows: Sequence[dict[str, Any]]) -> None:
    """Commit rows to silver, one commit."""
    from headrace.quality.masking import mask_key, mask_values

    declared = platform.definitions.source(source)
    frame = silver(declared, rows)
    secret = mask_key() if declared.personal else b""
    frame = frame.with_columns(mask_values(frame[name], mask, secret) for name, mask in declared.personal.items())
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", source)
    days = frame.partition_by("_hr_day", as_dict=True)
    staged = [table.stage(part, {"_hr_day": str(day[0])}) for day, part in days.items()]
    least = frame["_hr_known"].dt.epoch("us").min()
    table.commit(
        staged, schema=frame.schema, mode="append", partition_by=["_hr_day"], metadata={"min_known_us": str(least)}
    )


def filled(root: Path, clock: Callable[[], int] | None = None) -> Platform:
    """A project with rows of all sources: one view published day by day, the others after two days and four."""
    platform = project(root, clock)
    put(platform, "rides", rides(1))
    put(platform, "papers", papers(2))
    for day in range(4):
        put(platform, "pings", pings(day, day))
        for view in platform.definitions.views if day % 2 else ["driver_now"]:
            platform.backfill(view, end=START + (day + 1) * DAY)
    return platform


def gold_of(platform: Platform, view: str = "driver_now") -> Gold:
    """What is published of a view."""
    return Gold.of(platform.context, platform.definitions.view(view))


def lines(report: VerifyReport) -> str:
    """The differences, for the message of a failing test."""
    return "\n".join(f"{found.cause}: {found}" for found in report.differences[:20])
