"""A project whose features are served online: eight numbers a user, the newest of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.projects import open_project, put_silver
from headrace.platform import Platform
from headrace.types import DAY, instant

VIEW, SERVICE, KEY = "user_now", "model", "user_id"
FEATURES = tuple(f"f{i}" for i in range(8))
START = instant("2026-01-01")
SAMPLED = 1_000
_INSTANT = pl.Datetime("us", "UTC")
DEFINITIONS = """
import headrace as hr

user = hr.Entity("user", keys={"user_id": hr.Int64})
floats = {f"f{i}": hr.Float64 for i in range(6)}
scores = hr.EventSource(
    "scores", schema={"user_id": hr.Int64, "ts": hr.Timestamp, **floats, "f6": hr.Int64, "f7": hr.Int64},
    event_time="ts",
)
user_now = hr.FeatureView(
    "user_now", entity=user, source=scores, features={f"f{i}": hr.last(f"f{i}") for i in range(8)}
)
model = hr.FeatureService("model", features=[user_now])
"""


def scores(drawn: Drawn, users: pl.Series, day: int) -> pl.DataFrame:
    """An event of each user on a day, in the order of their times."""
    n = len(users)
    times = pl.Series(START + day * DAY + drawn.integers(DAY, n)).cast(_INSTANT)
    columns = {name: pl.Series(drawn.floats(0, 100, n)) for name in FEATURES[:6]}
    columns |= {name: pl.Series(drawn.integers(1_000, n)) for name in FEATURES[6:]}
    return pl.DataFrame({KEY: users, "ts": times, **columns}).sort("ts", KEY)


def make_project(root: Path, days: list[pl.DataFrame]) -> None:
    """A project that has published some days of scores, offline and online."""
    platform = open_project(root, DEFINITIONS)
    for rows in days:
        put_silver(platform, "scores", rows)
    publish(platform)


def publish(platform: Platform) -> None:
    """Backfill what is missing, and let go of the online store."""
    platform.backfill(VIEW)
    platform.context.online.close()


@contextmanager
def served_from(root: Path, online: str) -> Iterator[Platform]:
    """The project with another online store."""
    os.environ["HEADRACE_ONLINE"] = online
    try:
        platform = Platform.open(root)
        yield platform
        platform.context.online.close()
    finally:
        del os.environ["HEADRACE_ONLINE"]


def sample(rows: pl.DataFrame) -> pl.DataFrame:
    """The newest values of some users, spread over all, sorted: what a store should answer."""
    newest = rows.sort("ts").unique(KEY, keep="last").sort(KEY)
    return newest.gather_every(max(len(newest) // SAMPLED, 1)).select(KEY, *FEATURES)


def read_back(platform: Platform, users: pl.Series) -> pl.DataFrame:
    """What the online store answers, as `sample` has it."""
    found = platform.online(SERVICE, {KEY: users.to_list()}).to_frame()
    return found.select(KEY, *(pl.col(f"{VIEW}__{name}").alias(name) for name in FEATURES))
