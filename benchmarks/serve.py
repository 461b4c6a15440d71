"""``serve``: ten users' eight numbers a request over HTTP, from one worker of ``headrace serve``.

100,000 users in a Redis server that is started for it, and in LMDB. Beside it one worker of ``feast serve`` with its
own Redis. Server, store and load tool share the machine. As the floor the same server's ``GET /health``, and a bare
loop that answers as many bytes. At last a thousand users' fifty numbers a request, a few requests a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.feast import MISSING, foreign
from benchmarks.harness import OURS, ROOT, ROUNDS, Line, Measured, Outcome, measured, scratch
from benchmarks.projects import open_project, put_silver
from benchmarks.redis_servers import has_redis, redis_server
from benchmarks.served import DEFINITIONS, FEATURES, KEY, VIEW, sample, scores, served_from
from benchmarks.serving.asked import body, post, read_back, write_bodies
from benchmarks.serving.load import load, tool
from benchmarks.serving.measuring import MOST_P99_MS, measure
from benchmarks.serving.processes import Server, free_port, server
from headrace.types import DAY, instant

USERS, USERS_A_REQUEST, BODIES = 100_000, 10, 5_000
WIDE_USERS, WIDE_USERS_A_REQUEST, WIDE_FEATURES, WIDE_A_SECOND, MOST_WIDE_P99_MS = 10_000, 1_000, 50, 10, 50.0
SECONDS, LEAST_SECONDS = 4.0, 0.5
GOAL = 25
MOST_THIRD_P99_MS = 2.0
WIDE = """
wide_source = hr.EventSource(
    "wide", schema={"user_id": hr.Int64, "ts": hr.Timestamp, **{f"w{i}": hr.Float64 for i in range(50)}},
    event_time="ts",
)
wide_now = hr.FeatureView(
    "wide_now", entity=user, source=wide_source, features={f"w{i}": hr.last(f"w{i}") for i in range(50)}
)
wide_model = hr.FeatureService("wide_model", features=[wide_now])
"""
REFERENCES = tuple(f"{VIEW}:{name}" for name in FEATURES)
_LMDB = "lmdb:./online"


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Publish, ask, compare the answers."""
    tool()
    with scratch(parent) as folder:
        prepare(Path(folder), scale)
        ours = [OURS, *["lmdb"] * has_redis()]
        theirs = foreign("serve", ["feast redis"] * has_redis())
        found = measured(__name__, ours, Path(folder), rounds, theirs)
        return _line(found, Path(folder))


def prepare(folder: Path, scale: float) -> None:
    """Publish a project, and draw the requests."""
    drawn, users, wide_users = Drawn(23), max(int(USERS * scale), 100), max(int(WIDE_USERS * scale), 1_000)
    rows = scores(drawn, pl.Series(KEY, range(users)), 0)
    rows.write_parquet(folder / "rows.parquet")
    sample(rows).write_parquet(folder / "sample.parquet")
    (folder / "seconds").write_text(str(max(SECONDS * min(scale, 1.0), LEAST_SECONDS)))
    platform = open_project(folder / "project", DEFINITIONS + WIDE)
    put_silver(platform, "scores", rows)
    put_silver(platform, "wide", _wide_rows(drawn, wide_users))
    platform.backfill(VIEW)
    platform.backfill("wide_now")
    platform.context.online.close()
    requests = drawn.integers(users, BODIES * USERS_A_REQUEST).reshape(BODIES, -1).tolist()
    write_bodies(folder / "bodies", requests, REFERENCES)
    wide = drawn.integers(wide_users, 20 * WIDE_USERS_A_REQUEST).reshape(20, -1).tolist()
    write_bodies(folder / "wide-bodies", wide, [f"wide_now:w{i}" for i in range(WIDE_FEATURES)])


def _wide_rows(drawn: Drawn, users: int) -> pl.DataFrame:
    times = pl.Series(instant("2026-01-01") + drawn.integers(DAY, users)).cast(pl.Datetime("us", "UTC"))
    numbers = {f"w{i}": pl.Series(drawn.floats(0, 100, users)) for i in range(WIDE_FEATURES)}
    return pl.DataFrame({KEY: pl.Series(range(users)), "ts": times, **numbers}).sort("ts", KEY)


def ours(inputs: Path) -> Outcome:
    """From Redis, where it is installed."""
    if not has_redis():
        return from_lmdb(inputs)
    with redis_server() as port:
        online = f"redis://127.0.0.1:{port}/0"
        with served_from(inputs / "project", online) as platform:
            platform.materialize(VIEW)
            platform.materialize("wide_now")
        return _served(inputs, online)


def from_lmdb(inputs: Path) -> Outcome:
    """From LMDB."""
    return _served(inputs, _LMDB)


def _served(inputs: Path, online: str) -> Outcome:
    port, seconds = free_port(), float((inputs / "seconds").read_text())
    command = [sys.executable, "-m", "headrace", "serve", "--port", str(port), "--project", str(inputs / "project")]
    with server(command, port, inputs, {"HEADRACE_ONLINE": online}) as started:
        notes = measure(started, inputs / "bodies", seconds)
        peak = started.peak_rss_mb()
        wide = load(
            f"{started.url}/get-online-features", max(seconds, 2.0), bodies=inputs / "wide-bodies", rate=WIDE_A_SECOND
        )
        notes |= {"wide_p50_ms": wide.p50_ms, "wide_p99_ms": wide.p99_ms, "wide_failed": wide.failed}
        notes |= {"health": _floor(started, "/health", seconds), **_echo(inputs, started, seconds)}
        users = pl.read_parquet(inputs / "sample.parquet")[KEY].to_list()
        result = read_back(started.url, users, REFERENCES)
    return Outcome(result, 1 / max(notes["saturation"], 1e-9), peak, notes, notes["server_cpu_us"] / 1e6)


def _floor(started: Server, path: str, seconds: float) -> list[float]:
    """Answers a second, and the server's processor time for each in microseconds."""
    before = started.cpu_seconds()
    done = load(started.url + path, seconds / 2)
    return [round(done.per_second), round((started.cpu_seconds() - before) * 1e6 / max(done.answered, 1), 1)]


def _echo(inputs: Path, started: Server, seconds: float) -> dict[str, Any]:
    """What a bare loop answers of the same size."""
    answer = post(started.url, body(range(USERS_A_REQUEST), REFERENCES))
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.serving.echo", str(port), str(len(answer))]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with server(command, port, inputs, paths) as echo:
        before = echo.cpu_seconds()
        done = load(echo.url, seconds / 2, bodies=inputs / "bodies")
        cpu_us = (echo.cpu_seconds() - before) * 1e6 / max(done.answered, 1)
    return {"answer_bytes": len(answer), "echo": [round(done.per_second), round(cpu_us, 1)]}


def _line(found: dict[str, Measured], folder: Path) -> Line:
    rates = {name: m.notes["saturation"] for name, m in found.items()}
    peers = {name: rate for name, rate in rates.items() if name.startswith("feast")}
    ratio = rates[OURS] / max(peers.values()) if peers else None
    sampled = pl.read_parquet(folder / "sample.parquet")
    equal = all(m.frame().equals(sampled) for m in found.values())
    return Line(
        "serve", "requests/s", rates[OURS], peers, ratio,
        f"at least {GOAL} times Feast, p99 under {MOST_P99_MS:g} ms at saturation and under {MOST_THIRD_P99_MS:g} at a "
        f"third of it, under {MOST_WIDE_P99_MS:g} for 1,000 users' 50 numbers",
        _met(ratio, found), equal, found[OURS].peak_rss_mb, {name: found[name].peak_rss_mb for name in peers},
        _extra(found, peers),
    )  # fmt: skip


def _met(ratio: float | None, found: Mapping[str, Measured]) -> bool:
    own = [m.notes for name, m in found.items() if not name.startswith("feast")]
    quick = all(
        notes["p99_ms"] < MOST_P99_MS and notes["third_p99_ms"] < MOST_THIRD_P99_MS
        and notes["wide_p99_ms"] < MOST_WIDE_P99_MS and not notes["failed"]
        for notes in own
    )  # fmt: skip
    return quick and ratio is not None and ratio >= GOAL


def _extra(found: Mapping[str, Measured], peers: Mapping[str, float]) -> dict[str, Any]:
    extra: dict[str, Any] = {"users_a_request": USERS_A_REQUEST, "store": "redis" if has_redis() else "lmdb"}
    names = dict.fromkeys(name for m in found.values() for name in m.notes)
    extra |= {name: {who: m.notes[name] for who, m in found.items() if name in m.notes} for name in names}
    if not peers:
        return {**extra, "peers_missing": MISSING}
    cpu_us = extra["server_cpu_us"]
    return {**extra, "cpu_ratio": min(cpu_us[name] for name in peers) / cpu_us[OURS]}


CONTENDERS = {OURS: ours, "lmdb": from_lmdb}
