"""Buses of Austin, replayed in the order in which they arrived: a stream's steps are those of a backfill, row by row.

The public data does not say when a ping arrived: one in twenty gets a lateness from a seed, of up to four minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headrace.definitions.fingerprint import view_fingerprint
from headrace.platform import Platform
from headrace.platform.stream_worker import Pace

FEATURES = Path(__file__).parent / "real_data" / "austin_bus" / "features.py"
VIEWS = {"vehicle_now": ["vehicle_id"], "on_route": ["vehicle_id", "route_id"], "cell_now": ["lat_cell", "lon_cell"]}


@pytest.mark.shared_data
@pytest.mark.slow
def test_a_month_of_buses_streams_to_the_steps_of_a_backfill(tmp_path: Path, shared_data: Path) -> None:
    counted = replay(tmp_path, shared_data / "austin_bus_pings_2015_2017.parquet", 40_000)
    assert counted["different"] == counted["missing"] == counted["extra"] == 0, counted
    assert counted["compared"] > 50_000


def replay(root: Path, data: Path, rows: int | None) -> Counter[str]:
    """Stream and backfill the same pings, and compare every step of every view."""
    platform = _project(root)
    _write(root, data, rows)
    counted: Counter[str] = Counter()
    began = time.monotonic()
    platform.stream("pings", Pace(0.0, 50_000, every_step=True, until_idle=True, idle_seconds=3600))
    counted["seconds streaming"] = round(time.monotonic() - began)
    platform.ingest()
    for view, keys in VIEWS.items():
        platform.backfill(view)
        _compare(platform, view, keys, counted)
    return counted


def _project(root: Path) -> Platform:
    text = FEATURES.read_text()
    text = text.replace('"file_day": hr.String,', '"file_day": hr.String, "seen_at": hr.Timestamp,')
    text = text.replace(
        'batch=hr.Files("landing/pings_*.parquet"),',
        'available_time="seen_at", batch=hr.Files("in/*.jsonl"), stream=hr.Files("in/*.jsonl"),',
    )
    (root / "features.py").write_text(text)
    (root / "headrace.toml").write_text('name = "austin"\nmodule = "features"\n')
    platform = Platform.open(root)
    platform.apply()
    return platform


def _write(root: Path, data: Path, rows: int | None) -> None:
    found = pl.read_parquet(data)
    found = found.head(rows) if rows else found
    chosen = np.random.default_rng(7)
    late_us = np.where(chosen.random(len(found)) < 0.05, chosen.integers(0, 240_000_000, len(found)), 0)
    seen = pl.col("ping_ts").dt.epoch("us") + pl.Series(late_us)
    timed = found.with_columns(seen.cast(pl.Datetime("us", "UTC")).alias("seen_at")).sort(
        "seen_at", maintain_order=True
    )
    text = timed.with_columns(
        pl.col(name).dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for name in ("ping_ts", "seen_at")
    )
    (root / "in").mkdir()
    text.write_ndjson(root / "in" / "pings.jsonl")


def _compare(platform: Platform, view: str, keys: list[str], counted: Counter[str]) -> None:
    defined = platform.context.definitions.view(view)
    fingerprint = view_fingerprint(defined)
    cut = platform.stream_status()[0].cut
    final = pl.col("valid_from").dt.epoch("us") < cut
    gold = platform.context.lake.table("gold", view, fingerprint).scan().filter(final).collect()
    streamed = platform.context.lake.table("streamed", view, fingerprint).scan().filter(final).collect()
    on = [*keys, "valid_from"]
    both = gold.join(streamed, on=on, suffix="_streamed")
    counted["compared"] += both.height
    counted["missing"] += gold.join(streamed, on=on, how="anti").height
    counted["extra"] += streamed.join(gold, on=on, how="anti").height + streamed.height - streamed.unique(on).height
    for name in ("event_time", *defined.features):
        counted["different"] += both.filter(~_same(both, name)).height


def _same(both: pl.DataFrame, name: str) -> pl.Expr:
    one, other = pl.col(name), pl.col(f"{name}_streamed")
    if both.schema[name].is_float():
        near = (one - other).abs() <= 1e-9 * (1 + one.abs())
        return (near | (one.is_null() & other.is_null())).fill_null(value=False)
    return one.eq_missing(other)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(replay(Path(folder), Path(sys.argv[1]), None))
