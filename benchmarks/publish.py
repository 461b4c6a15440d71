"""``publish``: what it costs that nobody reads steps before they are audited, and then all at once.

10M steps of 50k drivers, four features, a day at a time for 30 days. Ours stages each day and notes it durably,
audits the staged files by three checks, commits them at once and registers the publication. The peers write the same
frames as a plain table with a partition a day: ``plain`` through the same writer, a commit for all of them;
``deltalake`` by deltalake's own, a commit a day. Nothing is computed in either, and nothing written online.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deltalake
import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, Watch, measured, scratch
from benchmarks.projects import open_project
from headrace.platform import Platform
from headrace.platform.auditing import audited
from headrace.platform.candidate import Candidate, Part
from headrace.platform.extent import Extent
from headrace.platform.gold import DAY_COLUMN, Gold, state_folder
from headrace.platform.gold_staging import staged_steps
from headrace.platform.publishing import publish
from headrace.types import DAY, instant

STEPS, DRIVERS, DAYS = 10_000_000, 50_000, 30
START = instant("2026-01-01")
GOAL = 0.8
VIEW = "driver_now"
_INSTANT = pl.Datetime("us", "UTC")
DEFINITIONS = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
pings = hr.EventSource("pings", event_time="ts", schema={
    "driver_id": hr.Int64, "ts": hr.Timestamp, "speed": hr.Float64, "rating": hr.Float64, "rides": hr.Int64,
    "wait_s": hr.Float64})
driver_now = hr.FeatureView(
    "driver_now", entity=driver, source=pings, online=False,
    features={name: hr.last(name) for name in ("speed", "rating", "rides", "wait_s")},
    checks=[hr.check.between("speed", 0, 60), hr.check.not_null("rides"),
            hr.check.between("rating", 1, 5, max_failing_share=0.01)],
)
"""


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Make the steps, let them be written, compare what is there."""
    with scratch(parent) as folder:
        prepare(Path(folder), int(STEPS * scale), max(int(DRIVERS * scale), 2))
        return _line(measured(__name__, list(CONTENDERS), Path(folder), rounds), int(STEPS * scale))


def prepare(folder: Path, steps: int, drivers: int) -> None:
    """Write the steps, a file a day, sorted by driver and time."""
    drawn = Drawn(19)
    for day in range(DAYS):
        n = steps // DAYS + (day < steps % DAYS)
        frame = pl.DataFrame({
            "driver_id": drawn.integers(drivers, n), "valid_from": START + day * DAY + drawn.integers(DAY, n),
            "speed": drawn.floats(0, 40, n), "rating": drawn.floats(1, 5, n), "rides": drawn.integers(50, n),
            "wait_s": drawn.floats(0, 900, n),
        })  # fmt: skip
        times = [pl.col("valid_from").cast(_INSTANT), (pl.col("valid_from") - 1).cast(_INSTANT).alias("event_time")]
        columns = ["driver_id", "valid_from", "event_time", "speed", "rating", "rides", "wait_s"]
        frame.sort("driver_id", "valid_from").with_columns(times).select(columns).write_parquet(_file(folder, day))


def ours(inputs: Path) -> Outcome:
    """Staged, audited, committed, registered."""
    with scratch(inputs) as folder:
        platform, days = open_project(Path(folder) / "project", DEFINITIONS), list(_days(inputs))
        watch = Watch()
        seconds = _published(platform, days)
        gold = Gold.of(platform.context, platform.definitions.view(VIEW))
        return watch.outcome(lambda: _digest(gold.scan()), seconds)


def _published(platform: Platform, days: list[pl.DataFrame]) -> dict[str, Any]:
    """As a backfill does that computes a day at a time; gives the seconds through each stage."""
    context, watch = platform.context, Watch()
    gold = Gold.of(context, platform.definitions.view(VIEW))
    extent = Extent(START, START + DAYS * DAY, (), 0)
    candidate = Candidate.resume_or_begin(state_folder(context.lake, gold), extent, "bench")
    for day, steps in enumerate(days):
        files = tuple(staged_steps(gold.table, steps))
        since = START + day * DAY
        candidate.add(Part(since, since + DAY, opening=not day, steps=len(steps), carry_digest="", files=files))
    staged = watch.seconds
    verdict = audited(context, gold, candidate)
    judged = watch.seconds
    publish(context, gold, candidate, verdict)
    candidate.forget()
    return {"stage": staged, "audit": judged - staged, "publish": watch.seconds - judged}


def plain(inputs: Path) -> Outcome:
    """The same files, and one commit."""
    with scratch(inputs) as folder:
        platform, days = open_project(Path(folder) / "project", DEFINITIONS), list(_days(inputs))
        watch = Watch()
        table = platform.context.lake.table("gold", VIEW, "plain")
        staged = [file for steps in days for file in staged_steps(table, steps)]
        schema = pl.Schema(staged[0].columns)
        table.commit(staged, schema=schema, mode="append", partition_by=[DAY_COLUMN], metadata={})
        return watch.outcome(lambda: _digest(table.scan()))


def with_deltalake(inputs: Path) -> Outcome:
    """By deltalake's own writer."""
    with scratch(inputs) as folder:
        days = list(_days(inputs))
        watch = Watch()
        for steps in days:
            frame = steps.with_columns(pl.col("valid_from").dt.date().alias(DAY_COLUMN))
            deltalake.write_deltalake(f"{folder}/table", frame, partition_by=[DAY_COLUMN], mode="append")
        return watch.outcome(lambda: _digest(pl.scan_delta(f"{folder}/table")))


def _days(inputs: Path) -> Iterator[pl.DataFrame]:
    return (pl.read_parquet(_file(inputs, day)) for day in range(DAYS))


def _file(folder: Path, day: int) -> Path:
    return folder / f"steps-{day:02}.parquet"


def _digest(steps: pl.LazyFrame) -> pl.DataFrame:
    """By day how many steps there are, and a sum of hashes of all that is in them."""
    rows = steps.collect()
    hashes = rows.select(sorted(set(rows.columns) - {DAY_COLUMN})).hash_rows(seed=1)
    by_day = rows.select(DAY_COLUMN, (hashes // 2**30).alias("hash")).group_by(DAY_COLUMN)
    return by_day.agg(pl.len(), pl.col("hash").sum()).sort(DAY_COLUMN)


def _line(found: dict[str, Measured], steps: int) -> Line:
    figures = {name: steps / m.seconds for name, m in found.items()}
    own = figures.pop(OURS)
    ratio = own / figures["plain"]
    frame = found[OURS].frame()
    return Line(
        "publish", "steps/s", own, figures, ratio, "at most 25 % more time than plain: ratio >= 0.8", ratio >= GOAL,
        all(frame.equals(found[name].frame()) for name in figures), found[OURS].peak_rss_mb,
        {name: found[name].peak_rss_mb for name in figures},
        {"steps": steps, "seconds": {name: m.seconds for name, m in found.items()},
         "cpu_seconds": {name: m.cpu_seconds for name, m in found.items()}, "stages": found[OURS].notes},
    )  # fmt: skip


CONTENDERS = {OURS: ours, "plain": plain, "deltalake": with_deltalake}
