"""``ingest``: JSON lines and Parquet to silver, with the share of each stage.

Pings of about 160 bytes, a few of them copies. Ours lands them in bronze, checks their contract, drops copies and
commits silver. Beside it Polars only reads the same file, drops copies and writes Parquet: what there is to gain
by not checking anything.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, measured, peak_rss_mb, scratch
from benchmarks.projects import open_project
from headrace.types import DAY, instant

EVENTS, DRIVERS, COPIES = 2_000_000, 20_000, 0.003
START = instant("2026-01-01")
DEFINITIONS = """
import headrace as hr

pings = hr.EventSource(
    "pings",
    schema={"event_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "lat": hr.Float64, "lon": hr.Float64,
            "speed_mps": hr.Float64, "status": hr.String},
    event_time="ts", dedupe_on="event_id", required=["driver_id"],
    contract=[hr.check.between("lat", -90, 90), hr.check.between("speed_mps", 0, 90),
              hr.check.is_in("status", ["free", "busy"])],
    batch=hr.Files("landing/*.SUFFIX"),
)
"""
COLUMNS = {"event_id": pl.String, "driver_id": pl.Int64, "ts": pl.String, "lat": pl.Float64, "lon": pl.Float64,
           "speed_mps": pl.Float64, "status": pl.String}  # fmt: skip


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Write the files, ingest them, compare silver with what Polars read."""
    with scratch(parent) as folder:
        events = prepare(Path(folder), int(EVENTS * scale))
        return _line(measured(__name__, list(CONTENDERS), Path(folder), rounds), events)


def prepare(folder: Path, n: int) -> int:
    """Write the events as JSON lines and as Parquet; gives their number."""
    drawn = Drawn(5)
    events = pl.DataFrame({
        "event_id": drawn.integers(2**60, n), "driver_id": drawn.integers(DRIVERS, n),
        "ts": START + drawn.integers(DAY, n),
        "lat": drawn.floats(40, 42, n).round(6), "lon": drawn.floats(44, 46, n).round(6),
        "speed_mps": drawn.floats(0, 30, n).round(2), "status": drawn.integers(2, n),
    }).sort("ts")  # fmt: skip
    events = events.with_columns(
        pl.col("event_id").cast(pl.String), pl.col("ts").cast(pl.Datetime("us", "UTC")),
        pl.col("status").replace_strict({0: "free", 1: "busy"}),
    )  # fmt: skip
    events = pl.concat([events, events.head(int(n * COPIES))])
    text = events.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"))
    for suffix, frame in (("jsonl", text), ("parquet", events)):
        landing = folder / suffix / "landing"
        open_project(folder / suffix, DEFINITIONS.replace("SUFFIX", suffix))
        landing.mkdir()
        frame.write_ndjson(landing / "pings.jsonl") if suffix == "jsonl" else frame.write_parquet(
            landing / "pings.parquet"
        )
    return len(events)


def _ingested(root: Path) -> Outcome:
    shutil.rmtree(root / "lake", ignore_errors=True)
    platform = open_project(root, DEFINITIONS)
    report = platform.ingest("pings")["pings"]
    seconds, peak = sum(report.seconds.values()), peak_rss_mb()
    shares = {stage: round(spent / seconds, 3) for stage, spent in report.seconds.items()}
    silver = platform.context.lake.table("silver", "pings").scan().select(*COLUMNS).sort("event_id").collect()
    return Outcome(silver, seconds, peak, {"shares": shares, "duplicates": report.duplicates})


def from_json(inputs: Path) -> Outcome:
    """JSON lines to silver."""
    return _ingested(inputs / "jsonl")


def from_parquet(inputs: Path) -> Outcome:
    """Parquet to silver."""
    return _ingested(inputs / "parquet")


def with_polars(inputs: Path) -> Outcome:
    """Read, drop copies, write; nothing is checked or kept as it came."""
    frame = pl.read_ndjson(inputs / "jsonl" / "landing" / "pings.jsonl", schema=COLUMNS)
    frame = frame.with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"))
    frame = frame.unique("event_id")
    frame.write_parquet(inputs / "polars.parquet")
    return Outcome(frame.sort("event_id"))


def _line(found: dict[str, Measured], events: int) -> Line:
    figures = {name: events / m.seconds for name, m in found.items()}
    own, parquet = figures.pop(OURS), figures.pop("parquet")
    frames = [m.frame() for m in found.values()]
    extra: dict[str, Any] = {"parquet_events_per_s": parquet, "events": events}
    extra |= {"json": found[OURS].notes, "parquet": found["parquet"].notes}
    return Line(
        "ingest", "events/s", own, figures, own / figures["polars"], "stated", True,
        all(frames[0].equals(frame) for frame in frames[1:]), found[OURS].peak_rss_mb,
        {name: found[name].peak_rss_mb for name in ("parquet", "polars")}, extra,
    )  # fmt: skip


CONTENDERS = {OURS: from_json, "parquet": from_parquet, "polars": with_polars}
