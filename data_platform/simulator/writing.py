"""Writes the landing zone, the labels and the truth of a simulation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from data_platform.simulator.changes import envelopes
from data_platform.simulator.randomness import Stream, generator
from data_platform.simulator.torn import tear

if TYPE_CHECKING:
    from data_platform.simulator.city import City
    from data_platform.simulator.landing import Landing

__all__ = ["UNPARSEABLE", "Written", "land_pings", "land_ride_changes", "ping_lines", "write"]

UNPARSEABLE = "unparseable"
_TORN_PART = 1_000


@dataclass(slots=True)
class Written:
    """What a simulation wrote.

    Attributes
    ----------
    root
        Folder with `landing/`, `labels/` and `truth/`.
    pings
        Distinct pings that landed.
    gps_messages
        Rows of the GPS files, second copies included, torn lines not.
    gps_faults, ride_faults
        Messages and lines with each fault.
    ride_changes
        Distinct changes of the rides table, the snapshot's rows included.
    rides, labels, document_rows
        Rides requested, labels, and rows of the daily documents.
    files, size_bytes
        Landing files and their size.
    """

    root: Path
    pings: int = 0
    gps_messages: int = 0
    gps_faults: Counter[str] = field(default_factory=Counter)
    ride_changes: int = 0
    ride_faults: Counter[str] = field(default_factory=Counter)
    rides: int = 0
    labels: int = 0
    document_rows: int = 0
    files: int = 0
    size_bytes: int = 0


def write(city: City, root: Path, days: int, gps_format: Literal["parquet", "jsonl"] = "parquet") -> Written:
    """Write the first days of a city below a folder; see `City.write`."""
    if days < 1:
        raise ValueError(f"City.write: days is at least 1, found {days}")
    for folder in ("gps", "gps_faults", "rides", "ride_faults"):
        (root / "truth" / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("landing/gps", "landing/rides", "landing/driver_documents", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    written = Written(root)
    for part, landing in enumerate(city.landings(days)):
        land_pings(city, landing, gps_format, part, written)
    for day in range(days):
        _rides(city, day, written)
        _labels(city, day, written)
        _documents(city, day, written)
    return written


def land_pings(
    city: City, landing: Landing, gps_format: Literal["parquet", "jsonl"], part: int, written: Written
) -> None:
    """Write a file of pings and the truth of it, and count it in `written`; `part` numbers the files of a run."""
    name = f"gps_{landing.begins_at:%Y-%m-%dT%H}"
    path = written.root / "landing" / "gps" / f"{name}.{gps_format}"
    messages, faults = landing.messages, landing.faults
    if gps_format == "parquet":
        messages.write_parquet(path, compression="lz4")
    else:
        rng = generator(city.seed, Stream.PING_FAULTS, part=_TORN_PART + part)
        lines, torn = tear(rng, ping_lines(messages), city.faults.unparseable)
        _write_lines(path, lines)
        unparseable = messages[torn].select("event_id", "received_at", fault=pl.lit(UNPARSEABLE))
        faults = pl.concat([faults, unparseable])
    truth = landing.truth
    truth.write_parquet(written.root / "truth" / "gps" / f"{name}.parquet", compression="lz4")
    faults.write_parquet(written.root / "truth" / "gps_faults" / f"{name}.parquet")
    written.pings += len(truth)
    written.gps_messages += len(messages)
    written.gps_faults.update(faults["fault"])
    _landed(path, written)


def ping_lines(messages: pl.DataFrame) -> pl.Series:
    """Return pings as JSON text, times as ISO text with Z; JSON has no NaN, so it becomes null."""
    iso = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for name in ("ts", "received_at")]
    return messages.with_columns(iso).select(pl.struct(pl.all()).struct.json_encode()).to_series()


def _rides(city: City, day: int, written: Written) -> None:
    name = f"rides_{city.date(day)}"
    path = written.root / "landing" / "rides" / f"{name}.jsonl"
    delivered = city.rides(day)
    rng = generator(city.seed, Stream.RIDE_FAULTS, day, _TORN_PART)
    lines, torn = tear(rng, envelopes(delivered), city.faults.ride_truncated)
    _write_lines(path, lines)
    duplicates = delivered.filter(pl.col("fault").is_not_null()).select("file", "pos", "fault")
    faults = pl.concat([duplicates, delivered[torn].select("file", "pos", fault=pl.lit(UNPARSEABLE))])
    faults.write_parquet(written.root / "truth" / "ride_faults" / f"{name}.parquet")
    rides = city.true_rides(day)
    rides.write_parquet(written.root / "truth" / "rides" / f"{name}.parquet")
    written.rides += len(rides)
    written.ride_changes += len(delivered) - len(duplicates)
    written.ride_faults.update(faults["fault"])
    _landed(path, written)


def land_ride_changes(path: Path, changes: pl.DataFrame) -> None:
    """Write ride changes, in the columns of `City.ride_changes`, in the order in which they are delivered."""
    _write_lines(path, envelopes(changes))


def _labels(city: City, day: int, written: Written) -> None:
    labels = city.labels(day)
    labels.write_parquet(written.root / "labels" / f"labels_{city.date(day)}.parquet")
    written.labels += len(labels)


def _documents(city: City, day: int, written: Written) -> None:
    path = written.root / "landing" / "driver_documents" / f"driver_documents_{city.date(day)}.csv"
    papers = city.documents(day)
    papers.write_csv(path)
    written.document_rows += len(papers)
    _landed(path, written)


def _write_lines(path: Path, lines: pl.Series) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _landed(path: Path, written: Written) -> None:
    written.files += 1
    written.size_bytes += path.stat().st_size
