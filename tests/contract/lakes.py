"""The lakes that the suites run on, and a small table to try things with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from headrace.lake import open_lake
from headrace.lake.base import Lake, Table

OPENERS: dict[str, Callable[[Path], Lake]] = {"delta": open_lake}
DAY_1, DAY_2 = {"day": "2026-01-01"}, {"day": "2026-01-02"}
SCHEMA = pl.Schema([("id", pl.Int64()), ("at", pl.Datetime("us", "UTC")), ("day", pl.Date())])


def rows(*ids: int, day: dict[str, str] = DAY_1) -> pl.DataFrame:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {"id": ids, "at": [at] * len(ids), "day": [date.fromisoformat(day["day"])] * len(ids)}, schema=SCHEMA
    )


def commit(table: Table, *ids: int, day: dict[str, str] = DAY_1, mode: Any = "append", **options: Any) -> int | None:
    staged = [table.stage(rows(*ids, day=day), day)] if ids else []
    options = {"schema": SCHEMA, "partition_by": ["day"], "metadata": {}} | options
    return table.commit(staged, mode=mode, **options)


def ids(table: Table, version: int | None = None) -> list[int]:
    return sorted(table.scan(version).collect()["id"].to_list())
