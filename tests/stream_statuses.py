"""Made-up statuses of streams, and a project whose sources have streams."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.lake import open_lake
from headrace.platform.context import Context
from headrace.platform.processes import this_process
from headrace.platform.settings import Settings
from headrace.platform.stream_status import status_folder
from headrace.registry.sql import SqlRegistry
from headrace.streaming.status import PartitionStatus, StreamStatus, ViewStatus, write_status
from headrace.types import SECOND, instant

NOW = instant("2026-01-05T12:00:00Z")
STAGES = {"read": 0.031, "decode": 0.062, "compute": 0.088, "write": 0.041, "commit": 0.012, "total": 0.24}


def project(root: Path, clock: Callable[[], int] = lambda: NOW) -> Context:
    """A project with the streams ``gps`` and ``orders``, and the source ``files`` that has none."""

    def source(name: str, **options: Any) -> hr.EventSource:
        schema = {"event_id": hr.String, "ts": hr.Timestamp}
        return hr.EventSource(name, schema=schema, event_time="ts", dedupe_on="event_id", **options)

    sources = [source(name, stream=hr.Kafka(name)) for name in ("gps", "orders")]
    definitions = Definitions.of([*sources, source("files", batch=hr.Files("landing/*.csv"))])
    registry = SqlRegistry(f"sqlite:///{root}/registry.db")
    return Context(root, Settings("city"), definitions, registry, open_lake(root / "lake"), clock)


def say(context: Context, status: StreamStatus) -> StreamStatus:
    """Write a status as its worker would."""
    write_status(status_folder(context, status.source), status)
    return status


def partition(name: str, lag: int, lag_seconds: float, **options: Any) -> PartitionStatus:
    """A partition that was read to offset 1,000."""
    return PartitionStatus(name, 1_000, 1_000 + lag, lag_seconds, **options)


def status(source: str = "gps", worker: int = 0, workers: int = 1, *, now: int = NOW, **options: Any) -> StreamStatus:
    """A worker of this process that runs well and is 2,540 offsets behind."""
    given: dict[str, Any] = {
        "location": f"kafka://127.0.0.1:9092/{source}",
        "pid": os.getpid(),
        "started_at": now,
        "at": now,
        "condition": "running",
        "epoch": 12_345,
        "cut": now - 3 * SECOND,
        "events": 184_000,
        "rejected": 12,
        "duplicates": 830,
        "late": 41,
        "events_per_second": 51_234.4,
        "freshness_p50_seconds": 0.21,
        "freshness_p99_seconds": 0.64,
        "epoch_seconds": STAGES,
        "state_bytes": 412_000_000,
        "snapshot_epoch": 12_320,
        "partitions": (
            partition("0", 40, 0.2, watermark=now - 4 * SECOND),
            partition("1", 2_500, 1.5, watermark=now - 3 * SECOND),
            partition("2", 0, 0.0, is_idle=True),
        ),
        "views": (ViewStatus("driver_now", "f" * 8, 3, 50_000, 400_000_000, 31_000, 44_000, 7),),
        "sinks": {"online": 12_345, "delta": 12_344},
        "process": this_process() if options.get("pid", os.getpid()) == os.getpid() else "",
    }  # fmt: skip
    return StreamStatus(source, worker=worker, workers=workers, **(given | options))
