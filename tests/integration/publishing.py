"""What tests of publication share: a project whose view has checks, and days of rows, good and poisoned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from headrace.platform import Platform
from headrace.types import DAY
from tests.integration.pings import FEATURES, NOW, START, project, put, some_rows

CHECKED = FEATURES.replace('ttl="2h",', 'ttl="2h", checks=[hr.check.between("n", 0, 100)],')
DAYS = [some_rows(seed=day, days=1, n=60) for day in range(6)]
for day, rows in enumerate(DAYS):
    for row in rows:
        row["ts"] += day * DAY
        row["seen_at"] = row["ts"] + 1


def checked(root: Path, features: str = CHECKED) -> Platform:
    """A project with a check on `n`."""
    made = project(root)
    return redefined(made, features)


def redefined(platform: Platform, features: str, *, apply: bool = True) -> Platform:
    """The project with other definitions."""
    (platform.context.root / "features.py").write_text(features)
    found = Platform.open(platform.context.root, clock=lambda: NOW)
    if apply:
        found.apply()
    return found


def poisoned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose `n` no check lets through."""
    return [row | {"ping_id": f"bad-{row['ping_id']}", "n": 1000 + row["n"]} for row in rows]


def publish_days(platform: Platform, first: int, last: int) -> None:
    """Bring days in and publish each."""
    for day in range(first, last):
        put(platform, DAYS[day])
        platform.backfill("driver_now", end=START + (day + 1) * DAY)


def labels(days: float = 6.0) -> pl.DataFrame:
    """Labels over some days for all drivers."""
    times = [int(START + 1 + days * DAY * i / 60) for i in range(60)]
    frame = pl.DataFrame({"driver_id": [i % 5 for i in range(60)], "label_time": times})
    return frame.cast({"label_time": pl.Datetime("us", "UTC")})


def numbers(platform: Platform, view: str = "driver_now") -> list[int]:
    """The numbers of a view's versions."""
    return [publication.number for publication in platform.versions(view).publications]
