"""A small project on disk, for tests of what comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.definitions.sources import Source
from headrace.lake import open_lake
from headrace.lake.base import Table
from headrace.platform.context import Context
from headrace.platform.ingest import IngestReport, SourceReport, ingest
from headrace.platform.settings import Settings
from headrace.registry.sql import SqlRegistry
from headrace.types import instant

NOON = instant("2026-01-05T12:00:00Z")
GPS = {
    "event_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "lat": hr.Float64, "status": hr.String,
}  # fmt: skip


def gps(pattern: str = "landing/*.jsonl", **options: Any) -> hr.EventSource:
    """Pings of drivers, with a contract."""
    given: dict[str, Any] = {
        "dedupe_on": "event_id",
        "required": "driver_id",
        "contract": [hr.check.between("lat", -90, 90), hr.check.is_in("status", ["free", "busy"])],
        "max_rejected_share": 0.5,
    } | options
    return hr.EventSource("gps", schema=GPS, event_time="ts", batch=hr.Files(pattern), **given)


def ping(number: int, **values: Any) -> dict[str, Any]:
    """A good row."""
    good = {"event_id": f"e{number}", "driver_id": number % 7, "ts": f"2026-01-05T10:{number % 60:02d}:00Z"}
    return good | {"lat": 48.0 + number % 10 / 10, "status": "free"} | values


def pings(numbers: range, **values: Any) -> list[dict[str, Any]]:
    """Good rows."""
    return [ping(number, **values) for number in numbers]


def lines(rows: list[Any]) -> bytes:
    """Rows as JSON lines; bytes and text stand for themselves."""
    return b"\n".join(
        row if isinstance(row, bytes) else row.encode() if isinstance(row, str) else msgspec.json.encode(row)
        for row in rows
    ) + b"\n"  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a typed frame."""
    return pl.DataFrame(rows).with_columns(pl.col("ts").str.to_datetime(time_unit="us", time_zone="UTC"))


@dataclass
class Project:
    """A project's folder and the sources defined in it."""

    root: Path
    source: Source = field(default_factory=gps)
    now: int = NOON

    def put(self, name: str, content: bytes | list[Any]) -> Path:
        """Write a file below ``landing``."""
        path = self.root / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else lines(content))
        return path

    def context(self, clock: Callable[[], int] | None = None) -> Context:
        """What use cases are given."""
        registry = SqlRegistry(f"sqlite:///{self.root}/registry.db")
        lake = open_lake(self.root / "lake")
        settings = Settings("test")
        return Context(self.root, settings, Definitions.of([self.source]), registry, lake, clock or (lambda: self.now))

    def ingest(self, **options: Any) -> SourceReport:
        """Ingest the source."""
        report: IngestReport = ingest(self.context(), self.source.name, **options)
        return report.sources[0]

    def table(self, layer: str) -> Table:
        """A table of the source."""
        return self.context().lake.table(layer, self.source.name)

    def rows(self, layer: str = "silver") -> pl.DataFrame:
        """The rows of a table, in a fixed order."""
        table = self.table(layer)
        if not table.exists():
            return pl.DataFrame()
        found = table.scan().collect()
        return found.sort([name for name in ("_hr_file", "_hr_row") if name in found.columns])

    def ids(self) -> list[str]:
        """The event ids in silver, ordered."""
        rows = self.rows()
        return sorted(rows["event_id"].to_list()) if rows.height else []

    def versions(self) -> dict[str, int]:
        """The version of each table."""
        tables = {layer: self.table(layer) for layer in ("bronze", "silver", "quarantine")}
        return {layer: table.version() for layer, table in tables.items() if table.exists()}
