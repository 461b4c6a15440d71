"""Feast's `materialize`; runs in its own environment."""

from __future__ import annotations

from pathlib import Path

from benchmarks.feast.stores import SQLITE, applied, materialize, read_back, redis
from benchmarks.harness import Outcome, Watch, scratch
from benchmarks.redis_servers import redis_server


def into_redis(inputs: Path) -> Outcome:
    """Into its Redis store."""
    with redis_server() as port:
        return _materialized(inputs, redis(port))


def into_sqlite(inputs: Path) -> Outcome:
    """Into SQLite, its default."""
    return _materialized(inputs, SQLITE)


def _materialized(inputs: Path, online: str) -> Outcome:
    with scratch(inputs) as folder:
        store = applied(Path(folder), inputs / "rows.parquet", online)
        watch = Watch()
        materialize(store)
        return watch.outcome(lambda: read_back(store, inputs))


CONTENDERS = {"feast redis": into_redis, "feast sqlite": into_sqlite}
