"""Feast's `get_online_features` in process; runs in its own environment."""

from __future__ import annotations

from pathlib import Path

from benchmarks.asking import asked
from benchmarks.feast.stores import applied, materialize, read_back, redis, values
from benchmarks.harness import Outcome, scratch
from benchmarks.redis_servers import redis_server


def from_redis(inputs: Path) -> Outcome:
    """From its Redis store."""
    import numpy as np

    with redis_server() as port, scratch(inputs) as folder:
        store = applied(Path(folder), inputs / "rows.parquet", redis(port))
        materialize(store)
        requests = np.load(inputs / "requests.npy").tolist()
        return asked(lambda users: values(store, users), requests, lambda: read_back(store, inputs))


CONTENDERS = {"feast redis": from_redis}
