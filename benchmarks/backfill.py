"""``backfill``: 30 days against 10, through the platform: is time linear, and memory constant?

A million events a day of 20k drivers, in silver; a view with a sliding mean, a lifetime count and the newest
value. The steps of the first 10 days must be the same in both.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, measured, peak_rss_mb, scratch
from benchmarks.projects import copied, open_project, put_silver
from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.types import DAY, instant

EVENTS_A_DAY, DRIVERS = 1_000_000, 20_000
FEW, MANY = 10, 30
START = instant("2026-01-01")
_INSTANT = pl.Datetime("us", "UTC")
DEFINITIONS = """
import headrace as hr

pings = hr.EventSource(
    "pings", schema={"driver_id": hr.Int64, "ts": hr.Timestamp, "speed_mps": hr.Float64}, event_time="ts"
)
driver_now = hr.FeatureView(
    "driver_now", entity=hr.Entity("driver", keys={"driver_id": hr.Int64}), source=pings,
    features={
        "speed_mean_1h": hr.mean("speed_mps", hr.sliding("1h", hop="15m")),
        "pings": hr.count(),
        "speed": hr.last("speed_mps"),
    },
    online=False,
)
"""


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Fill silver, backfill 10 and 30 days each in a process of its own, compare."""
    with scratch(parent) as folder:
        for days in (FEW, MANY):
            prepare(Path(folder) / f"days-{days}", days, int(EVENTS_A_DAY * scale))
        return _line(measured(__name__, list(CONTENDERS), Path(folder), rounds), int(EVENTS_A_DAY * scale))


def prepare(root: Path, days: int, events_a_day: int) -> None:
    """Write days of silver."""
    platform = open_project(root, DEFINITIONS)
    drawn = Drawn(3)
    for day in range(days):
        put_silver(platform, "pings", pl.DataFrame({
            "driver_id": drawn.integers(max(DRIVERS * events_a_day // EVENTS_A_DAY, 2), events_a_day),
            "ts": START + day * DAY + drawn.integers(DAY, events_a_day),
            "speed_mps": drawn.floats(0, 30, events_a_day),
        }).sort("ts").cast({"ts": _INSTANT}))  # fmt: skip


def few(inputs: Path) -> Outcome:
    """Ten days."""
    return _backfilled(inputs / f"days-{FEW}", FEW)


def ours(inputs: Path) -> Outcome:
    """Thirty days."""
    return _backfilled(inputs / f"days-{MANY}", MANY)


def _backfilled(root: Path, days: int) -> Outcome:
    """A first backfill, in a copy of the project; the digest of its first ten days is what is compared."""
    with scratch(root.parent) as folder:
        platform = Platform.open(copied(root, Path(folder) / "project"))
        report = platform.backfill("driver_now", START, START + days * DAY)
        seconds, peak = report.seconds, peak_rss_mb()
        first = pl.col("_hr_day") < pl.date(2026, 1, 1) + pl.duration(days=FEW)
        gold = Gold.of(platform.context, platform.definitions.view("driver_now"))
        by_day = gold.scan().filter(first).group_by("_hr_day").agg(
            pl.len(), pl.col("pings").sum(), pl.col("speed_mean_1h").sum().round(3),
            pl.col("valid_from").dt.epoch().sum(),
        )  # fmt: skip
        return Outcome(by_day.sort("_hr_day").collect(), seconds, peak, {"steps": report.steps})


def _line(found: dict[str, Measured], events_a_day: int) -> Line:
    few_days, many = found["10 days"], found[OURS]
    linear = few_days.seconds * MANY / FEW / many.seconds
    memory = many.peak_rss_mb / few_days.peak_rss_mb
    return Line(
        "backfill", "events/s", MANY * events_a_day / many.seconds,
        {"10 days": FEW * events_a_day / few_days.seconds}, linear, "time within 10 % of linear, memory at most 1.2x",
        linear >= 1 / 1.1 and memory <= 1.2, many.frame().equals(few_days.frame()), many.peak_rss_mb,
        {"10 days": few_days.peak_rss_mb},
        {"seconds": {name: m.seconds for name, m in found.items()}, "memory_ratio": memory, **many.notes},
    )  # fmt: skip


CONTENDERS = {OURS: ours, "10 days": few}
