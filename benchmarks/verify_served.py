"""A million served values: what the log of them costs, and `verify --served` of it, clean and with five seeded faults.

Prints one JSON line. Run: ``.venv/bin/python -m benchmarks.verify_served [requests]``.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from headrace.online.packing_keys import record_keys
from headrace.platform.online import OnlineReader
from headrace.platform.served_log import ServedEntry, ServedLog
from tests.integration.serving_log import HOUR, Forgetful, World

DRIVERS, ENTITIES, DAYS = 2_000, 10, 4


def costs(world: World, requests: int) -> dict[str, float]:
    """What an offer takes, and the writer's processor time for a million values."""
    reader = OnlineReader.of(world.platform.context, "model")
    rng = random.Random(1)
    answers = [reader.read({"driver_id": rng.sample(range(DRIVERS), ENTITIES)}, world.clock()) for _ in range(1_000)]
    entries = [
        ServedEntry(reader.service, answers[n % 1_000], f"cost-{n}", world.clock(), is_present=False)
        for n in range(requests)
    ]
    log = ServedLog.open(
        world.platform.context, clock=world.clock, seconds=3_600, most_waiting=10**9, most_at_once=10**9
    )
    sampled = ServedLog.open(world.platform.context, 0.1, clock=world.clock, seconds=3_600)
    began = time.perf_counter()
    for each in entries:
        log.offer(each)
    offered = (time.perf_counter() - began) / requests * 1e6
    began = time.perf_counter()
    for each in entries[:1_000]:
        sampled.offer(each)
    share = (time.perf_counter() - began) / 1_000 * 1e6
    cpu = time.process_time()
    began = time.perf_counter()
    log.flush()
    millions = log.written / 1e6
    return {
        "offer_us": round(offered, 2), "offer_of_a_tenth_us": round(share, 2),
        "writer_cpu_s_per_million": round((time.process_time() - cpu) / millions, 2),
        "writer_s_per_million": round((time.perf_counter() - began) / millions, 2),
    }  # fmt: skip


def rounds(world: World, requests: int, *, faults: bool) -> None:
    """Requests on four days; with faults, a different one on each part of the days."""
    context, rng = world.platform.context, random.Random(2)
    store = context.online
    for day in range(1, DAYS + 1):
        before = world.stored()
        if faults and day == 1:
            keys = record_keys(world.head().fingerprint, pl.DataFrame({"driver_id": list(range(50))}))
            context.__dict__["online"] = Forgetful(store, {key for key in keys if key is not None})
        world.publish(day)
        context.__dict__["online"] = store
        _ask(world, rng, requests // DAYS, 0)
        if not faults:
            continue
        good = world.stored()
        if day == 2:  # records go back to what they were
            world.put_back({key: before[key] for key in sorted(before) if key.startswith(b"r")})
        if day == 3:
            world.judge_by_ttl(HOUR)
        _ask(world, rng, 100, 2 * HOUR if day == 4 else 0)
        world.put_back(good)
    if faults:
        before = world.stored()
        world.redefine()
        world.publish(DAYS + 1)
        world.put_back(before)
        _ask(world, rng, 100, 0)


def _ask(world: World, rng: random.Random, requests: int, ahead_us: int) -> None:
    reader = OnlineReader.of(world.platform.context, "model")
    for _ in range(requests):
        world.answer(reader, rng.sample(range(world.drivers), ENTITIES), ahead_us)


def run(requests: int, *, faults: bool) -> dict[str, Any]:
    """One world: serve, log, verify."""
    with tempfile.TemporaryDirectory() as folder:
        world = World.make(Path(folder) / "project", DRIVERS)
        rounds(world, requests, faults=faults)
        told: dict[str, Any] = {} if faults else costs(world, requests)
        report = world.verify()
        told |= {
            "comparisons": report.comparisons, "equal": report.equal, "causes": dict(report.by_cause),
            "not_comparable": dict(report.not_comparable), "verify_s": round(report.seconds, 2),
            "values_per_s": round(report.comparisons / report.seconds),
        }  # fmt: skip
        return told


def main() -> None:
    """Print the tally."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 12_500
    print(json.dumps({"clean": run(requests, faults=False), "faults": run(requests, faults=True)}))


if __name__ == "__main__":
    main()
