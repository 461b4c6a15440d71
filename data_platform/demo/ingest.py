"""Chapter 2: contracts decide what is believed; the simulator knows whether they are right."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from data_platform.demo.telling import Teller
from data_platform.demo.truth import true_pings
from data_platform.simulator import Written
from headrace import Platform

ACCEPTED, DUPLICATE, LATE = "accepted", "second copy, left out", "of those, late and kept"
_QUARANTINED: Final = {
    "gps: driver_id": ("corrupt_driver_id_null",),
    "gps: lat": ("corrupt_lat_out_of_range",),
    "gps: speed_mps": ("corrupt_speed_negative", "corrupt_speed_nan"),
    "gps: status": ("corrupt_status_unknown",),
    "gps: ts": ("future",),
}
_WORDS: Final = {
    "gps: driver_id": "driver_id is null",
    "gps: lat": "lat beyond a pole",
    "gps: speed_mps": "speed negative or NaN",
    "gps: status": "status unknown",
    "gps: ts": "time in the future",
    "rides: line": "half a line",
}

Counts = dict[str, int]


def ingest(tell: Teller, platform: Platform, written: Written) -> dict[str, Counts]:
    """Apply the definitions, ingest every source, and compare what was done with what was injected."""
    with tell.chapter(
        "Ingest", "Each row is judged by its source's contract; names are dropped, phone numbers hashed."
    ):
        platform.apply()
        found, expected = _found(platform), injected(written)
        rows = [(*_named(what), expected[what], found.get(what, 0)) for what in expected]
        tell.table(("source", "what became of rows", "in truth", "by headrace"), rows)
        agree = found == expected
        tell.say(
            "Every count is the simulator's own: nothing was lost, nothing believed that was wrong."
            if agree
            else "The counts differ from the simulator's: this is a defect of headrace.",
            style="" if agree else "bold red",
        )
    return {"injected": expected, "found": found}


def injected(written: Written) -> Counts:
    """What the simulator did, by what should become of it."""
    faults, torn = written.gps_faults, written.ride_faults["unparseable"]
    quarantined = {what: sum(faults[name] for name in names) for what, names in _QUARANTINED.items()}
    return _happened({
        f"gps: {ACCEPTED}": written.pings - sum(quarantined.values()),
        f"gps: {LATE}": _late(written.root),
        f"gps: {DUPLICATE}": faults["duplicate"],
        **quarantined,
        f"rides: {ACCEPTED}": written.ride_changes,
        f"rides: {DUPLICATE}": written.ride_faults["duplicate"],
        "rides: line": torn,
        f"driver_documents: {ACCEPTED}": written.document_rows,
    })  # fmt: skip


def _late(root: Path) -> int:
    """How many pings that are whole arrived over ten seconds after they happened."""
    late = pl.col("received_at") - pl.col("ts") > pl.duration(seconds=10)
    return int(true_pings(root).select(late.sum()).collect().item())


def _found(platform: Platform) -> Counts:
    report = platform.ingest()
    counts = {f"{done.source}: {ACCEPTED}": done.accepted for done in report.sources}
    counts |= {f"{done.source}: {DUPLICATE}": done.duplicates for done in report.sources}
    counts[f"gps: {LATE}"] = report["gps"].late
    for reason in platform.quarantine():
        counts[f"{reason.source}: {reason.column or 'line'}"] = reason.rows
    return _happened(counts)


def _happened(counts: Counts) -> Counts:
    return {what: count for what, count in counts.items() if count}


def _named(what: str) -> tuple[str, str]:
    source, _, kind = what.partition(": ")
    return source, f"quarantine: {_WORDS[what]}" if what in _WORDS else kind
