"""``get``: ten users' eight numbers a request, in one process, without HTTP.

100,000 users in LMDB, and in a Redis server that is started for it. Beside it Feast's `get_online_features` from its
own Redis, and, as the floor, the bare stores: the same bytes by the same keys, nothing decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.asking import asked
from benchmarks.drawn import Drawn
from benchmarks.feast import MISSING, foreign
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, measured, scratch
from benchmarks.redis_servers import has_redis, redis_server
from benchmarks.served import KEY, SERVICE, VIEW, make_project, read_back, sample, scores, served_from
from headrace.online.packing_keys import record_keys
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.online_heads import head_key, read_head

USERS, REQUESTS, USERS_A_REQUEST = 100_000, 50_000, 10
GOAL = 100_000
_LMDB = "lmdb:./online"


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Publish, ask, compare the answers."""
    with scratch(parent) as folder:
        prepare(Path(folder), max(int(USERS * scale), 100), max(int(REQUESTS * scale), 100))
        ours = [name for name in CONTENDERS if has_redis() or "redis" not in name]
        theirs = foreign("get", ["feast redis"] * has_redis())
        found = measured(__name__, ours, Path(folder), rounds, theirs)
        return _line(found, Path(folder), max(int(REQUESTS * scale), 100))


def prepare(folder: Path, users: int, requests: int) -> None:
    """Publish a project, and draw the requests."""
    drawn = Drawn(17)
    rows = scores(drawn, pl.Series(KEY, range(users)), 0)
    rows.write_parquet(folder / "rows.parquet")
    make_project(folder / "project", [rows])
    sample(rows).write_parquet(folder / "sample.parquet")
    np.save(folder / "requests.npy", drawn.integers(users, requests * USERS_A_REQUEST).reshape(requests, -1))


def ours(inputs: Path) -> Outcome:
    """From LMDB."""
    with served_from(inputs / "project", _LMDB) as platform:
        return _asked(platform, inputs)


def from_redis(inputs: Path) -> Outcome:
    """From Redis."""
    with redis_server() as port, served_from(inputs / "project", f"redis://127.0.0.1:{port}/0") as platform:
        platform.materialize(VIEW)
        return _asked(platform, inputs)


def _asked(platform: Platform, inputs: Path) -> Outcome:
    reader, clock = OnlineReader.of(platform.context, SERVICE), platform.context.clock
    requests, sampled = np.load(inputs / "requests.npy").tolist(), pl.read_parquet(inputs / "sample.parquet")
    return asked(
        lambda users: reader.read({KEY: users}, clock()), requests, lambda: read_back(platform, sampled[KEY])
    )  # fmt: skip


def bare_lmdb(inputs: Path) -> Outcome:
    """The same bytes from LMDB."""
    import lmdb

    with served_from(inputs / "project", _LMDB) as platform:
        head, requests = _stored_keys(platform, inputs)
    with lmdb.open(str(inputs / "project" / "online"), readonly=True) as environment:

        def get(keys: Sequence[bytes]) -> list[bytes | None]:
            with environment.begin() as transaction:
                return list(map(transaction.get, [head, *keys]))

        return asked(get, requests, pl.DataFrame)


def bare_redis(inputs: Path) -> Outcome:
    """The same bytes from Redis, by one MGET a request."""
    import redis

    with redis_server() as port, served_from(inputs / "project", f"redis://127.0.0.1:{port}/0") as platform:
        platform.materialize(VIEW)
        head, requests = _stored_keys(platform, inputs, b"headrace:")
        with redis.Redis(port=port) as client:
            return asked(lambda keys: client.mget([head, *keys]), requests, pl.DataFrame)


def _stored_keys(platform: Platform, inputs: Path, prefix: bytes = b"") -> tuple[bytes, list[list[bytes]]]:
    """Where the view's head is, and the records of each request."""
    head = read_head(platform.context.online, VIEW)
    assert head is not None
    users = np.load(inputs / "requests.npy")
    found = record_keys(head.fingerprint, pl.DataFrame({KEY: users.ravel()}))
    keys = [prefix + key for key in found if key is not None]
    return prefix + head_key(VIEW), [keys[i : i + users.shape[1]] for i in range(0, len(keys), users.shape[1])]


def _line(found: dict[str, Measured], folder: Path, requests: int) -> Line:
    rates = {name: requests * USERS_A_REQUEST / m.seconds for name, m in found.items()}
    peers = {name: rate for name, rate in rates.items() if name.startswith("feast")}
    sampled = pl.read_parquet(folder / "sample.parquet")
    equal = all(m.frame().equals(sampled) for name, m in found.items() if not name.startswith("bare"))
    return Line(
        "get", "vectors/s", rates[OURS], peers, rates[OURS] / max(peers.values()) if peers else None,
        f"at least {GOAL:,} vectors/s", rates[OURS] >= GOAL, equal, found[OURS].peak_rss_mb,
        {name: found[name].peak_rss_mb for name in peers}, _extra(found, rates, peers, requests),
    )  # fmt: skip


def _extra(
    found: dict[str, Measured], rates: dict[str, float], peers: dict[str, float], requests: int
) -> dict[str, Any]:
    extra: dict[str, Any] = {"users_a_request": USERS_A_REQUEST}
    for name in ("p50_us", "p99_us"):
        extra[name] = {contender: m.notes[name] for contender, m in found.items()}
    extra["cpu_us"] = {name: m.cpu_seconds * 1e6 / requests for name, m in found.items()}
    extra["floor_vectors_per_second"] = {name: rate for name, rate in rates.items() if name.startswith("bare")}
    if "redis" in found:
        extra["redis_vectors_per_second"] = rates["redis"]
    if "feast redis" in peers:
        extra["redis_ratio"] = rates["redis"] / peers["feast redis"]
    else:
        extra["peers_missing"] = MISSING
    return extra


CONTENDERS = {OURS: ours, "redis": from_redis, "bare lmdb": bare_lmdb, "bare redis": bare_redis}
