"""Views without an entity: labels need no key, and everything is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from headrace.platform import Platform
from tests.integration.pings import START, project, put, some_rows

FEATURES = """
city = hr.FeatureView("city", entity=None, source=pings, features={
    "n": hr.count(), "n_30m": hr.count(window=hr.tumbling("30m")), "drivers": hr.count_distinct("driver_id")})
both = hr.FeatureService("both", features=[city, driver_now])
"""


def city(root: Path) -> tuple[Platform, pl.DataFrame]:
    """A project with a global view that is backfilled, and its rows."""
    project(root)
    (root / "features.py").write_text((root / "features.py").read_text() + FEATURES)
    platform = Platform.open(root)
    platform.apply()
    rows = some_rows(1, days=3, n=400)
    put(platform, rows)
    for view in ("city", "driver_now"):
        platform.backfill(view)
    return platform, pl.DataFrame(rows)


def test_each_label_gets_the_value_of_its_time_whatever_its_entity(tmp_path: Path) -> None:
    platform, rows = city(tmp_path)
    start = datetime.fromtimestamp(START // 1_000_000, UTC)
    times = [start + timedelta(hours=hours) for hours in (30, 0, 50, 7)]
    labels = pl.DataFrame({"label_time": times, "driver_id": [1, 2, None, 4]}).cast(
        {"label_time": pl.Datetime("us", "UTC")}
    )
    found = platform.training_set(labels, "both")
    known = rows.select(pl.max_horizontal("ts", "seen_at")).to_series()
    expected = [int((known < time).sum()) or None for time in labels["label_time"].dt.epoch("us")]
    assert found["city__n"].to_list() == expected
    assert found["city__drivers"].drop_nulls().max() == 5


def test_a_history_needs_no_key(tmp_path: Path) -> None:
    platform, rows = city(tmp_path)
    assert platform.history("city", {})["n"].max() == rows.height
