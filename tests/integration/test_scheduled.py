"""What a record says of the time after the frontier, for every kind of source and window: what the rows say."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.online.packing_tiles import pack_shorter
from headrace.platform import Platform, online_content
from headrace.platform.online_heads import read_head
from headrace.testing import silver
from headrace.timeline.packed_record import TILES, visible
from headrace.types import DAY, SECOND
from tests.integration.online_answers import answered, assert_same, expected, visible_steps
from tests.integration.pings import START

MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
FEATURES = """
import headrace as hr

user = hr.Entity("user", keys={{"user_id": hr.Int64}})
source = {source}
view = hr.FeatureView("view", entity=user, source=source, {options} features={{{features}}})
model = hr.FeatureService("model", features=[view])
"""
SCHEMA = 'schema={"id": hr.Int64, "user_id": hr.Int64, "ts": hr.Timestamp, "x": hr.Float64, "n": hr.Int64}'
EVENTS = f'hr.EventSource("source", {SCHEMA}, event_time="ts", dedupe_on="id", max_lateness="3m")'
INCLUSIVE = EVENTS.replace("dedupe_on", "inclusive=True, dedupe_on")
CHANGES = f'hr.ChangeSource("source", primary_key="id", {SCHEMA}, event_time="ts")'
SNAPSHOTS = f'hr.SnapshotSource("source", primary_key="id", {SCHEMA})'
SLIDING = """"s": hr.sum("n", hr.sliding("1h", hop="10m")), "m": hr.mean("x", hr.sliding("2h", hop="30m")),"""
_LAST_DAY = 'hr.sliding("1d", hop="5m")'
LONG = "".join(f'"{name}": hr.{name}("x", {_LAST_DAY}), ' for name in ("sum", "mean", "variance", "stddev", "min"))
LONG += f'"n_x": hr.count("x", {_LAST_DAY}), "max": hr.max("x", {_LAST_DAY}, default=-1.0), '
PICKED = """"l": hr.last("x", hr.sliding("1h", hop="10m")), "f": hr.first("n", hr.hopping("1h", hop="30m")),
            "some": hr.last_n("n", 2), "kinds": hr.count_distinct("n", hr.sliding("3h", hop="1h")),"""
HOPPING = """"h": hr.sum("n", hr.hopping("1h", hop="15m")), "t": hr.max("x", hr.tumbling("1d")),"""
LIFETIME = """"rows": hr.count(), "total": hr.sum("x"), "newest": hr.last("n"),"""
CASES = [
    (EVENTS, "", SLIDING), (EVENTS, 'ttl="30m",', LONG + '"newest": hr.last("n"),'), (EVENTS, "", PICKED),
    (EVENTS, "", HOPPING), (EVENTS, "", LIFETIME), (EVENTS, 'resolution="7m",', SLIDING + LIFETIME),
    (EVENTS, 'resolution="7m",', LONG), (INCLUSIVE, "", SLIDING + LIFETIME),
    (EVENTS, 'where="n > 3",', HOPPING + LIFETIME),
    (CHANGES, "", SLIDING + LIFETIME), (CHANGES, 'resolution="7m",', PICKED), (CHANGES, "", HOPPING),
    (SNAPSHOTS, "", LIFETIME), (SNAPSHOTS, "", '"s": hr.sum("n", hr.sliding("3d", hop="1d")),'),
]  # fmt: skip
NOW = START + 4 * DAY
FRONTIERS = [START + DAY, START + DAY + 1, START + DAY + 3 * HOUR + 5 * MINUTE, START + 3 * DAY]


def some_rows(seed: int, kind: str, n: int = 120) -> list[dict[str, Any]]:
    """Rows of a source; for changes and snapshots with what `headrace.testing` wants to know."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for place in range(n):
        ts = START + 2 * DAY * place // n + rng.randrange(90) * SECOND
        row: dict[str, Any] = {
            "id": place,
            "user_id": rng.randrange(6),
            "ts": ts,
            "x": rng.choice([1.5, None, -2.0]),
            "n": rng.randrange(9),
        }
        if kind == "changes":
            row |= {"id": place // 3, "_op": "insert" if place % 3 == 0 else rng.choice(["update", "update", "delete"])}
            row["_known"] = max(ts, rows[-1]["_known"]) + SECOND if rows else ts
        if kind == "snapshots":
            row |= {"id": place % 17, "_snapshot": _day(START + place // 17 * DAY // 2)}
        rows.append(row)
    edges = [(f - 1, 7) for f in FRONTIERS] if kind == "events" else []
    return rows + [{"id": 1_000 + i, "user_id": u, "ts": t, "x": 1.0, "n": 5} for i, (t, u) in enumerate(edges)]


@pytest.mark.parametrize(("source", "options", "features"), CASES)
def test_the_future_is_that_of_the_rows(
    source: str, options: str, features: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online_content, "pack_shorter", partial(pack_shorter, worth_bytes=0))
    (tmp_path / "headrace.toml").write_text('name = "scheduled"\nmodule = "features"\n')
    (tmp_path / "features.py").write_text(FEATURES.format(source=source, options=options, features=features))
    platform = Platform.open(tmp_path, clock=lambda: NOW)
    platform.apply()
    kind = {EVENTS: "events", INCLUSIVE: "events", CHANGES: "changes", SNAPSHOTS: "snapshots"}[source]
    rows = some_rows(1, kind, 1_500 if LONG in features else 120)
    frame = silver(platform.definitions.source("source"), distinct(rows))
    put(platform, frame)
    for frontier in FRONTIERS:
        platform.backfill("view", end=frontier)
        assert_future(platform, frame, frontier)


def assert_future(platform: Platform, rows: pl.DataFrame, frontier: int) -> None:
    """The store answers as the rows that were known before the frontier say, at and around each step."""
    view = platform.definitions.view("view")
    known = rows.filter(pl.col("_hr_known").dt.epoch("us") < frontier)
    steps = platform.context.engine.compute(view, known, None, START - DAY, NOW + 9 * DAY).steps
    times = steps["valid_from"].dt.epoch("us").filter(steps["valid_from"].dt.epoch("us") >= frontier).unique().to_list()
    asked = {frontier, frontier + HOUR, *(t + d for t in times for d in (-1, 0, 1) if t + d >= frontier)}
    users = [{"user_id": user} for user in range(8)]
    for at in sorted(random.Random(frontier).sample(sorted(asked), min(len(asked), 60))):
        for key, found in zip(users, answered(platform, "model", users, at), strict=True):
            assert_same(found, expected(view, steps, key, at), (key, at - frontier))


def test_long_windows_are_kept_as_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online_content, "pack_shorter", partial(pack_shorter, worth_bytes=0))
    (tmp_path / "headrace.toml").write_text('name = "scheduled"\nmodule = "features"\n')
    (tmp_path / "features.py").write_text(FEATURES.format(source=EVENTS, options="", features=LONG))
    platform = Platform.open(tmp_path, clock=lambda: NOW)
    platform.apply()
    put(platform, silver(platform.definitions.source("source"), some_rows(1, "events", 1_500)))
    platform.backfill("view", end=FRONTIERS[-2])
    head = read_head(platform.context.online, "view")
    assert head is not None
    assert head.layout.tile_sets
    records = dict(platform.context.online.scan(b"r"))
    assert {visible(record, head.stamp)[0] for record in records.values()} == {TILES}
    n_steps = sum(map(len, visible_steps(platform, "view", head.frontier).values()))
    assert sum(map(len, records.values())) < n_steps * head.layout.codec.stride


def distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without two of one id in one snapshot."""
    seen = {(row["id"], row.get("_snapshot"), row.get("_known")): row for row in rows}
    return list(seen.values())


def put(platform: Platform, frame: pl.DataFrame) -> None:
    """Commit rows to silver."""
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", "source")
    days = frame.partition_by("_hr_day", as_dict=True)
    table.commit(
        [table.stage(part, {"_hr_day": str(day)}) for (day,), part in days.items()], schema=frame.schema, mode="append",
        partition_by=["_hr_day"], metadata={"min_known_us": str(frame["_hr_known"].dt.epoch("us").min())},
    )  # fmt: skip


def _day(time: int) -> Any:
    return pl.Series([time]).cast(pl.Datetime("us")).dt.date().item()
