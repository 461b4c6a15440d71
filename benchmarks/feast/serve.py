"""One worker of ``feast serve``; runs in its own environment."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.feast.stores import REFERENCES, applied, materialize, redis
from benchmarks.harness import Outcome, scratch
from benchmarks.redis_servers import redis_server
from benchmarks.serving.asked import KEY, read_back
from benchmarks.serving.measuring import measure
from benchmarks.serving.processes import free_port, server

_ALWAYS = "0"


def from_redis(inputs: Path) -> Outcome:
    """From its Redis store.

    Its registry is read again once in ten minutes, its worker is not replaced after a number of requests, as it is by
    default each thousand, and nothing is logged.
    """
    port, seconds = free_port(), float((inputs / "seconds").read_text())
    with redis_server() as redis_port, scratch(inputs) as folder:
        materialize(applied(Path(folder), inputs / "rows.parquet", redis(redis_port)))
        command = [str(Path(sys.executable).with_name("feast")), "serve", "--port", str(port), "--workers", "1"]
        command += ["--registry_ttl_sec", "600", "--max-requests", _ALWAYS, "--no-access-log"]
        with server(command, port, Path(folder), {"FEAST_USAGE": "False"}) as started:
            notes = measure(started, inputs / "bodies", seconds, most_p99_ms=None)
            peak = started.peak_rss_mb()
            result = read_back(started.url, _sampled(inputs), REFERENCES)
    return Outcome(result, 1 / max(notes["saturation"], 1e-9), peak, notes, notes["server_cpu_us"] / 1e6)


def _sampled(inputs: Path) -> list[int]:
    import polars as pl  # after Feast's memory has been measured

    users: list[int] = pl.read_parquet(inputs / "sample.parquet")[KEY].to_list()
    return users


CONTENDERS = {"feast redis": from_redis}
