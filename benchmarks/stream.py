"""Streams: catching up with a backlog beside Spark and Bytewax, keeping up with 5M events a minute, starting again.

Everything runs on this machine: the broker, the store, the producer and the stream. The ratio is that of events a
second of processor time, ours over the best peer's, for the same sliding windows on the same topic. Spark reads the
backlog both as one batch, which suits it best, and in batches of a million events, as a stream would; it is measured
warm and with its default state store. Bytewax reads the first half million, as its windows are Python's. Ours is
measured with its start. Ours also drops copies by id, judges each record by a contract, and serves from Redis.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import polars as pl

from benchmarks.harness import ROOT, Line, scratch
from benchmarks.redis_servers import redis_server
from benchmarks.stream_peers import comparing
from benchmarks.stream_peers.events import Pings
from benchmarks.stream_peers.producing import produce
from benchmarks.stream_peers.run import INSTALL, SPARK, beginning, peers
from benchmarks.streaming.keeping_up import kept_up
from benchmarks.streaming.project import SPEED, Used, project, run_until_idle
from benchmarks.streaming.restarting import restarted
from data_platform.stack.kafka import KafkaServer
from data_platform.stack.maven import kafka_home
from data_platform.stack.topics import create_topic, delete_topic
from headrace.types import SECOND

EVENTS: Final = 10_000_000
RATE: Final = 83_333
KEYS: Final = 1_000_000
SPARK_BATCHES: Final = {"spark, one batch": 0, "spark, batches of 1M": 1_000_000}
_IN_MEMORY: Final = "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider"
_HOP: Final = 30 * SECOND


def run(scale: float = 1.0, rounds: int = 1) -> Line:
    """Measure; `scale` shortens everything."""
    del rounds  # one: it takes ten minutes
    n = max(20_000, int(EVENTS * scale))
    with (
        scratch(None) as folder,
        redis_server() as port,
        KafkaServer(Path(folder) / "kafka", home=kafka_home(ROOT / ".stack"), heap_mb=512) as kafka,
    ):
        root, online = Path(folder), f"redis://127.0.0.1:{port}"
        create_topic(kafka.bootstrap, "gps", 4, append_time=False)  # the pings are of one past hour
        produce(kafka.bootstrap, "gps", n, Pings(duplicated_share=0))
        platform = project(root / "catching", kafka.bootstrap, f"{online}/0", SPEED)
        ours = run_until_idle(root / "catching")
        said, missing = _sparks(kafka.bootstrap, root, n)
        checked = [_equal(platform, root / name, n) for name in said]
        python, lacking = _bytewax(kafka.bootstrap, root, n)
        checked += [_equal_to_polars(kafka.bootstrap, root / name) for name in python]
        said, missing = said | python, [*missing, *lacking]
        delete_topic(kafka.bootstrap, "gps")
        live = kept_up(root / "keeping", kafka.bootstrap, f"{online}/1", max(25.0, 180.0 * scale), RATE)
        delete_topic(kafka.bootstrap, "gps")
        again = restarted(root / "again", kafka.bootstrap, f"{online}/2", max(10_000, int(KEYS * scale)))
    return _line(n, ours, said, missing, live, again, checked)


def _line(
    n: int,
    ours: Used,
    peers_said: dict[str, dict[str, Any]],
    missing: list[str],
    live: dict[str, Any],
    again: dict[str, Any],
    checked: list[tuple[bool, int]],
) -> Line:
    mine = n / ours.cpu_seconds
    theirs = {name: said["events"] / said["cpu_seconds"] for name, said in peers_said.items()}
    ratio = mine / max(theirs.values()) if theirs else None
    met = bool(
        (ratio or 0) >= 2
        and live["freshness_p99_seconds_worst"] < 2
        and again["restart_seconds"] < 10
        and live["lag_offsets_last_third"] < 2 * live["lag_offsets_first_third"] + RATE
    )
    extra = {
        "events": n, "events_per_second": n / ours.seconds, "compared": sum(n_compared for _, n_compared in checked),
        "load": os.getloadavg()[0],
        "peers_missing": "; ".join(missing),
        "peers_events": {name: said["events"] for name, said in peers_said.items()},
        "peers_events_per_second": {name: said["events"] / said["seconds"] for name, said in peers_said.items()},
        **live, **again,
    }  # fmt: skip
    return Line(
        "stream", "events per CPU-second", mine, theirs, ratio,
        "2x the best peer per CPU-second; 83.3k events/s, p99 freshness under 2 s; restart with 1M keys under 10 s",
        met, all(is_equal for is_equal, _ in checked), ours.peak_rss_mb,
        {name: said["peak_rss_mb"] for name, said in peers_said.items()}, extra,
    )  # fmt: skip


def _sparks(bootstrap: str, root: Path, n: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What Spark says of the same topic and windows, by how it reads; or why it says nothing."""
    if not SPARK.exists():
        return {}, [f"spark: no {SPARK.relative_to(ROOT)}; to install it: {INSTALL}"]
    return {name: _spark(bootstrap, root / name, n, batch) for name, batch in SPARK_BATCHES.items()}, []


def _bytewax(bootstrap: str, root: Path, n: int) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The same of Bytewax."""
    said = peers(bootstrap, "gps", n, ("bytewax",), root)
    if "missing" in said["bytewax"]:
        return {}, [f"bytewax: {said['bytewax']['missing']}"]
    return said, []


def _spark(bootstrap: str, folder: Path, n: int, batch_events: int) -> dict[str, Any]:
    warm = {str(partition): max(0, n // 4 - 50_000) for partition in range(4)}
    asked = {
        "bootstrap": bootstrap, "topic": "gps", "results": str(folder), "warm_offsets": warm,
        "batch_events": batch_events, "settings": {"spark.sql.streaming.stateStore.providerClass": _IN_MEMORY},
    }  # fmt: skip
    done = subprocess.run(  # noqa: S603
        [str(SPARK), "-m", "benchmarks.stream_peers.spark", json.dumps(asked)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _equal(platform: Any, folder: Path, n: int) -> tuple[bool, int]:
    """Whether the windows that end after the last event are the same: Spark's rows, and ours at these times."""
    rows = pl.read_parquet(folder / "*.parquet").sort("batch").unique(["driver_id", "window_end"], keep="last")
    last = int(pl.select(pl.lit(Pings().starts_at).dt.epoch("us")).item() + n / RATE * SECOND)
    compared = different = 0
    for end in range(last // _HOP * _HOP + _HOP, last + 10 * _HOP, 3 * _HOP):
        theirs = rows.filter(pl.col("window_end").dt.epoch("us") == end).sort("driver_id")
        ids = theirs["driver_id"].to_list()
        found = platform.online("model", {"driver_id": ids}, at=end).to_frame()
        near = (found["speed__mean_5m"] - theirs["mean"]).abs() < 1e-9 * (1 + theirs["mean"].abs())
        same = (found["speed__n_5m"] == theirs["count"]) & near
        compared, different = compared + len(ids), different + len(ids) - int(same.fill_null(value=False).sum())
    return different == 0 and compared > 0, compared


def _equal_to_polars(bootstrap: str, folder: Path) -> tuple[bool, int]:
    """Whether all windows of the beginning that was read are those that Polars makes of the same messages."""
    found = comparing.written(folder)
    ends = beginning(comparing.heads(bootstrap, "gps"))
    return comparing.is_equal(found, comparing.expected(bootstrap, "gps", ends)), found.height
