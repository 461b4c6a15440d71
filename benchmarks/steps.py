"""``steps``: a mean over a sliding hour (by 5 minutes) and over tumbling 5 minutes, from events to steps.

5M events of 20k drivers over one day, in the order of their times; one view with both features. Ours gives
every step, also those at which events leave windows. DuckDB answers at the events alone, by a window with a
moving frame and by a join to groups; the answers are compared there, just after each event.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

import headrace as hr
from benchmarks.drawn import Drawn
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, Watch, measured, scratch
from headrace.testing import steps
from headrace.types import DAY, SECOND, instant

EVENTS, DRIVERS = 5_000_000, 20_000
START = instant("2026-01-01")
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
GOAL_EVENTS_A_SECOND = 1_500_000
_ERROR = 1e-9
_INSTANT = pl.Datetime("us", "UTC")

_RIDES = hr.EventSource(
    "rides", schema={"driver_id": hr.Int64, "ts": hr.Timestamp, "wait_s": hr.Float64}, event_time="ts"
)
VIEW = hr.FeatureView(
    "waits",
    entity=hr.Entity("driver", keys={"driver_id": hr.Int64}),
    source=_RIDES,
    features={
        "sliding": hr.mean("wait_s", hr.sliding("1h", hop="5m")),
        "tumbling": hr.mean("wait_s", hr.tumbling("5m")),
    },
)


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Make the inputs, let them contend, compare."""
    with scratch(parent) as folder:
        events = prepare(Path(folder), scale)
        return _line(measured(__name__, list(CONTENDERS), Path(folder), rounds), events)


def prepare(folder: Path, scale: float) -> int:
    """Write the events; gives their number."""
    drawn, n = Drawn(11), int(EVENTS * scale)
    events = pl.DataFrame({
        "driver_id": drawn.integers(max(int(DRIVERS * scale), 2), n), "ts": START + drawn.integers(DAY, n),
        "wait_s": drawn.floats(0, 900, n),
    })  # fmt: skip
    events = events.unique(["driver_id", "ts"]).sort("ts", "driver_id").with_columns(pl.col("ts").cast(_INSTANT))
    events.write_parquet(folder / "events.parquet")
    return len(events)


def ours(inputs: Path) -> Outcome:
    """Every step of the view."""
    watch = Watch()
    events = pl.read_parquet(inputs / "events.parquet")
    found = steps(VIEW, events)
    return watch.outcome(lambda: _just_after(events, found), {"steps": len(found)})


def _just_after(events: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    spots = events.select("driver_id", valid_from=pl.col("ts") + pl.duration(microseconds=1))
    there = spots.join(found, on=["driver_id", "valid_from"], how="left").sort("driver_id", "valid_from")
    return there.select("driver_id", "sliding", "tumbling")


def with_duckdb(inputs: Path) -> Outcome:
    """The values just after each event."""
    watch = Watch()
    head = f"t + 1 - {HOUR} - (t + 1 - {HOUR}) % {5 * MINUTE}"
    answer = duckdb.sql(f"""
        WITH events AS (
            SELECT driver_id, epoch_us(ts) AS t, wait_s FROM read_parquet('{inputs / "events.parquet"}')),
        groups AS (
            SELECT driver_id, t // {5 * MINUTE} AS slot, avg(wait_s) AS tumbling FROM events GROUP BY ALL),
        slid AS (
            SELECT driver_id, t, avg(wait_s) OVER (
                PARTITION BY driver_id ORDER BY t RANGE BETWEEN t - ({head}) PRECEDING AND CURRENT ROW) AS sliding
            FROM events)
        SELECT slid.driver_id, t, sliding, tumbling
        FROM slid LEFT JOIN groups ON groups.driver_id = slid.driver_id AND groups.slot = (t + 1) // {5 * MINUTE} - 1
    """)  # noqa: S608 - no foreign text
    assert answer is not None
    found = answer.pl()
    return watch.outcome(lambda: found.sort("driver_id", "t").select("driver_id", "sliding", "tumbling"))


def agree(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Whether two answers are the same but for rounding."""
    if not one["driver_id"].equals(other["driver_id"]):
        return False
    return all(
        one[name].is_null().equals(other[name].is_null())
        and bool(((one[name] - other[name]).abs() <= _ERROR * other[name].abs()).all())
        for name in ("sliding", "tumbling")
    )


def _line(found: dict[str, Measured], events: int) -> Line:
    figures = {name: events / m.seconds for name, m in found.items()}
    own = figures.pop(OURS)
    frame = found[OURS].frame()
    return Line(
        "steps", "events/s", own, figures, own / max(figures.values()), f"{GOAL_EVENTS_A_SECOND} events/s",
        own >= GOAL_EVENTS_A_SECOND, all(agree(frame, found[name].frame()) for name in figures),
        found[OURS].peak_rss_mb, {name: found[name].peak_rss_mb for name in figures},
        {"seconds": {name: m.seconds for name, m in found.items()},
         "cpu_seconds": {name: m.cpu_seconds for name, m in found.items()}, "events": events, **found[OURS].notes},
    )  # fmt: skip


CONTENDERS = {OURS: ours, "duckdb": with_duckdb}
