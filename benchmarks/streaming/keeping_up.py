"""Keeping up with so many events a second: lag, and how old what is served is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stream_peers.producing import paced_result, start_paced
from benchmarks.streaming.project import LIVE, project, running, status
from data_platform.stack.topics import create_topic

WARM_SECONDS = 15.0


def kept_up(folder: Path, bootstrap: str, online: str, seconds: float, events_per_second: float) -> dict[str, Any]:
    """Run three views into a store while pings come, and sample the stream's status each second."""
    create_topic(bootstrap, "gps", 4)
    project(folder, bootstrap, online, LIVE)
    samples = []
    with running(folder):
        while not status(folder):
            time.sleep(0.1)
        producing = start_paced(bootstrap, "gps", seconds, events_per_second)
        began = time.monotonic()
        while producing.poll() is None and time.monotonic() - began < 2 * seconds:
            time.sleep(1.0)
            samples.append((time.monotonic() - began, status(folder)))
        produced = paced_result(producing)
    return _told(samples, produced.messages_per_second, produced.most_behind_seconds)


def _told(samples: list[tuple[float, dict[str, Any]]], rate: float, behind: float) -> dict[str, Any]:
    warm = [said for at, said in samples if at > WARM_SECONDS]
    lags = [sum(part["head"] - part["position"] for part in said["partitions"]) for said in warm]
    third = max(1, len(lags) // 3)
    return {
        "produced_per_second": rate, "producer_most_behind_seconds": behind,
        "freshness_p99_seconds_median": float(np.median([said["freshness_p99_seconds"] for said in warm])),
        "freshness_p99_seconds_worst": max(said["freshness_p99_seconds"] for said in warm),
        "freshness_p50_seconds_median": float(np.median([said["freshness_p50_seconds"] for said in warm])),
        "lag_offsets_first_third": float(np.mean(lags[:third])),
        "lag_offsets_last_third": float(np.mean(lags[-third:])),
        "epoch_seconds": warm[-1]["epoch_seconds"], "state_mb": warm[-1]["state_bytes"] / 1e6,
    }  # fmt: skip
