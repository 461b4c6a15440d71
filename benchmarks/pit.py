"""``pit``: features joined to labels as of their times, from tables on disk to a frame in the labels' order.

1M labels, 10M steps of 50k drivers over 30 days, four features. Ours reads the gold table as a backfill
lays it out: a file a day, sorted by driver and time. DuckDB and Polars read one Parquet file each, written by
themselves in the order and with the compression that they are fastest with.
"""

from __future__ import annotations

import time
from pathlib import Path

import deltalake  # noqa: F401 - what is imported on first use elsewhere is not measured
import duckdb
import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, Watch, measured, scratch
from benchmarks.projects import open_project, publish_steps
from headrace.definitions.views import Selection
from headrace.platform.gold import Gold
from headrace.platform.lookup import Question
from headrace.platform.reading import values_at
from headrace.types import DAY, instant

LABELS, STEPS, DRIVERS, DAYS = 1_000_000, 10_000_000, 50_000, 30
START = instant("2026-01-01")
FEATURES = ("speed", "rating", "rides", "wait_s")
GOAL = 3.0
_INSTANT = pl.Datetime("us", "UTC")
DEFINITIONS = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
pings = hr.EventSource("pings", event_time="ts", schema={
    "driver_id": hr.Int64, "ts": hr.Timestamp, "speed": hr.Float64, "rating": hr.Float64, "rides": hr.Int64,
    "wait_s": hr.Float64})
driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, online=False, features={
    name: hr.last(name) for name in ("speed", "rating", "rides", "wait_s")})
"""


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Make the inputs, let them contend, compare."""
    with scratch(parent) as folder:
        costs = prepare(Path(folder), scale)
        found = measured(__name__, list(CONTENDERS), Path(folder), rounds)
        return _line(found, int(LABELS * scale), costs)


def prepare(folder: Path, scale: float) -> dict[str, float]:
    """Write the inputs; gives the seconds that each layout of the steps took to write."""
    drawn = Drawn(7)
    steps = _steps(drawn, scale)
    _labels(drawn, scale).write_parquet(folder / "labels.parquet")
    costs = {}
    for name, write in (("headrace", _write_gold), ("duckdb", _write_duckdb), ("polars", _write_polars)):
        began = time.perf_counter()
        write(folder, steps)
        costs[name] = time.perf_counter() - began
    return costs


def _steps(drawn: Drawn, scale: float) -> pl.DataFrame:
    n = int(STEPS * scale)
    frame = pl.DataFrame({
        "driver_id": drawn.integers(_drivers(scale), n), "valid_from": START + drawn.integers(DAYS * DAY, n),
        "speed": drawn.floats(0, 40, n), "rating": drawn.floats(1, 5, n), "rides": drawn.integers(50, n),
        "wait_s": drawn.floats(0, 900, n),
    })  # fmt: skip
    frame = frame.unique(["driver_id", "valid_from"]).sort("driver_id", "valid_from")
    return frame.with_columns((pl.col("valid_from") - 1).cast(_INSTANT).alias("event_time"),
                              pl.col("valid_from").cast(_INSTANT))  # fmt: skip


def _labels(drawn: Drawn, scale: float) -> pl.DataFrame:
    n = int(LABELS * scale)
    return pl.DataFrame({
        "driver_id": drawn.integers(_drivers(scale), n), "label_time": START + drawn.integers(DAYS * DAY, n),
    }).with_columns(pl.col("label_time").cast(_INSTANT))  # fmt: skip


def _drivers(scale: float) -> int:
    return max(int(DRIVERS * scale), 2)


def _write_gold(folder: Path, steps: pl.DataFrame) -> None:
    platform = open_project(folder / "project", DEFINITIONS)
    view = platform.definitions.view("driver_now")
    publish_steps(platform, view, START, START + DAYS * DAY, _as_stored(steps))


def _as_stored(steps: pl.DataFrame) -> pl.DataFrame:
    return steps.select("driver_id", "valid_from", "event_time", *FEATURES)


def _write_duckdb(folder: Path, steps: pl.DataFrame) -> None:
    steps = steps.drop("event_time")
    duckdb.sql(f"COPY steps TO '{folder / 'duckdb.parquet'}' (FORMAT parquet, COMPRESSION uncompressed)")


def _write_polars(folder: Path, steps: pl.DataFrame) -> None:
    steps.drop("event_time").write_parquet(folder / "polars.parquet", compression="uncompressed")


def ours(inputs: Path) -> Outcome:
    """Read labels, find the values in gold."""
    platform = open_project(inputs / "project", DEFINITIONS)
    view = platform.definitions.view("driver_now")
    watch = Watch()
    gold = Gold.of(platform.context, view)
    labels = pl.read_parquet(inputs / "labels.parquet")
    question = Question(labels.select("driver_id"), labels["label_time"].dt.epoch("us").to_numpy())
    values, _ = values_at(gold, Selection(view), question, "raise")
    found = labels.hstack(values.rename(dict(zip(values.columns, FEATURES, strict=True))))
    return watch.outcome(lambda: found)


def with_duckdb(inputs: Path) -> Outcome:
    """DuckDB's ASOF join."""
    columns = ", ".join(f"s.{name}" for name in FEATURES)
    answer = duckdb.sql(f"""
        SELECT l.driver_id, l.label_time, {columns}
        FROM (SELECT *, file_row_number AS place
              FROM read_parquet('{inputs / "labels.parquet"}', file_row_number=true)) l
        ASOF LEFT JOIN read_parquet('{inputs / "duckdb.parquet"}') s
          ON l.driver_id = s.driver_id AND l.label_time >= s.valid_from
        ORDER BY l.place
    """)  # noqa: S608 - no foreign text
    assert answer is not None
    found = answer.pl()
    return Outcome(found.with_columns(pl.col("label_time").cast(_INSTANT)))


def with_polars(inputs: Path) -> Outcome:
    """Polars' join_asof, on steps that are sorted on disk."""
    steps = pl.scan_parquet(inputs / "polars.parquet")
    labels = pl.scan_parquet(inputs / "labels.parquet").with_row_index("place").sort("driver_id", "label_time")
    joined = labels.join_asof(
        steps, left_on="label_time", right_on="valid_from", by="driver_id", strategy="backward", check_sortedness=False
    )
    return Outcome(joined.sort("place").select("driver_id", "label_time", *FEATURES).collect())


def _line(found: dict[str, Measured], labels: int, costs: dict[str, float]) -> Line:
    figures = {name: labels / m.seconds for name, m in found.items()}
    own = figures.pop(OURS)
    ratio = own / max(figures.values())
    frame = found[OURS].frame()
    equal = all(frame.equals(found[name].frame()) for name in figures)
    return Line(
        "pit", "labels/s", own, figures, ratio, f"ratio >= {GOAL:g}", ratio >= GOAL, equal,
        found[OURS].peak_rss_mb, {name: found[name].peak_rss_mb for name in figures},
        {"seconds": {name: m.seconds for name, m in found.items()},
         "cpu_seconds": {name: m.cpu_seconds for name, m in found.items()}, "seconds_to_write_steps": costs},
    )  # fmt: skip


CONTENDERS = {OURS: ours, "duckdb": with_duckdb, "polars": with_polars}
