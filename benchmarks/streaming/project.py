"""The project whose streams are measured: GPS pings, and views that are fresh by the second."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from headrace.platform import Platform

SOURCE = """
import headrace as hr
import narwhals as nw

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
cell = hr.Entity("cell", keys={"cell": hr.Int64})
ping = hr.Entity("ping", keys={"event_id": hr.String})
gps = hr.EventSource(
    "gps",
    schema={"event_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "lat": hr.Float64, "lon": hr.Float64,
            "speed_mps": hr.Float64, "status": hr.String},
    event_time="ts", dedupe_on="event_id", dedupe_within="1m", max_lateness="10s", stream=hr.Kafka("gps"),
)

@hr.transform
def in_cell(rows):
    north = ((nw.col("lat") - 40.0) / 0.009).cast(nw.Int64)
    east = ((nw.col("lon") + 74.0) / 0.0117).cast(nw.Int64)
    return rows.with_columns((north * 10_000 + east).alias("cell"))
"""
SPEED = """
speed = hr.FeatureView("speed", entity=driver, source=gps, features={
    "mean_5m": hr.mean("speed_mps", window=hr.sliding("5m", hop="30s")),
    "n_5m": hr.count(window=hr.sliding("5m", hop="30s"))})
model = hr.FeatureService("model", features=[speed])
"""
LIVE = """
last_ping = hr.FeatureView("last_ping", entity=driver, source=gps, ttl="10m", features={
    "at": hr.last("ts"), "status": hr.last("status")})
speed = hr.FeatureView("speed", entity=driver, source=gps, features={
    "mean_5m": hr.mean("speed_mps", window=hr.sliding("5m", hop="30s"))})
demand = hr.FeatureView("demand", entity=cell, source=gps, transform=in_cell, features={
    "pings_5m": hr.count(window=hr.sliding("5m", hop="30s"))})
"""
MANY = """
pings = hr.FeatureView("pings", entity=ping, source=gps, features={"at": hr.last("ts"), "speed": hr.last("speed_mps")})
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What a run of the stream took: seconds on the clock and of the processor, and memory; its start included."""

    seconds: float
    cpu_seconds: float
    peak_rss_mb: float


def project(folder: Path, bootstrap: str, online: str, views: str) -> Platform:
    """A project with some of the views."""
    folder.mkdir(parents=True)
    (folder / "headrace.toml").write_text(
        f'name = "bench"\nmodule = "features"\nkafka = "{bootstrap}"\nonline = "{online}"\n'
    )
    (folder / "features.py").write_text(SOURCE + views)
    platform = Platform.open(folder)
    platform.apply()
    return platform


def command(folder: Path, *options: str) -> list[str]:
    """`headrace stream` on a project."""
    return [sys.executable, "-m", "headrace", "stream", "--project", str(folder), *options]


def environment() -> dict[str, str]:
    """That of a process of ours."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def run_until_idle(folder: Path) -> Used:
    """Let the stream read all that there is, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command(folder, "--until-idle"), env=environment(), check=True, stderr=subprocess.DEVNULL)  # noqa: S603
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Used(seconds, cpu, after.ru_maxrss * 1024 / 1e6)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The stream in a process of its own while the block runs; ended by SIGTERM."""
    with subprocess.Popen(command(folder, *options), env=environment()) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def status(folder: Path) -> dict[str, Any]:
    """What the stream said last; empty before that."""
    path = folder / "lake" / "state" / "streams" / "gps" / "status-0.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found
