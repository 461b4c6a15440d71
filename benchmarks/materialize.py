"""``materialize``: what is published offline, into an online store, until readers see it.

1M users with eight numbers each, from a published gold table into an empty LMDB; into a Redis server that is
started for it; with a history of ten steps; and, into a store that has the publication before, the 1 % of
users who have changed. Feast's `materialize` takes the same rows from a Parquet file into its own stores.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.drawn import Drawn
from benchmarks.feast import MISSING, foreign
from benchmarks.harness import OURS, ROUNDS, Line, Measured, Outcome, measured, peak_rss_mb, scratch
from benchmarks.projects import copied, put_silver
from benchmarks.redis_servers import has_redis, redis_server
from benchmarks.served import KEY, VIEW, make_project, publish, read_back, sample, scores, served_from
from headrace.platform import Platform

USERS, HISTORY, CHANGED = 1_000_000, 10, 0.01
GOAL = 200_000


def run(scale: float = 1.0, rounds: int = ROUNDS, parent: Path | None = None) -> Line:
    """Publish, load the stores, compare what they answer."""
    with scratch(parent) as folder:
        prepare(Path(folder), max(int(USERS * scale), 100))
        ours = [name for name in CONTENDERS if has_redis() or name != "redis"]
        theirs = foreign("materialize", ["feast redis"] * has_redis())
        theirs |= foreign("materialize", ["feast sqlite"], most_rounds=1)
        return _line(measured(__name__, ours, Path(folder), rounds, theirs), Path(folder))


def prepare(folder: Path, users: int) -> None:
    """Publish a project with one step a user, one with ten each, and one of which a few have changed."""
    drawn = Drawn(13)
    everyone = pl.Series(KEY, range(users))
    rows = scores(drawn, everyone, 0)
    rows.write_parquet(folder / "rows.parquet")
    make_project(folder / "once", [rows])
    sample(rows).write_parquet(folder / "sample.parquet")
    few = pl.Series(KEY, range(users // HISTORY))
    days = [scores(drawn, few, day) for day in range(HISTORY)]
    make_project(folder / "history", days)
    sample(days[-1]).write_parquet(folder / "sample-history.parquet")
    _prepare_changed(folder, drawn, rows)


def _prepare_changed(folder: Path, drawn: Drawn, rows: pl.DataFrame) -> None:
    copied(folder / "once", folder / "changed")
    shutil.copytree(folder / "once" / "online", folder / "before")
    users = rows[KEY].sort().gather_every(int(1 / CHANGED))
    newer = scores(drawn, users, 1)
    platform = Platform.open(folder / "changed")
    put_silver(platform, "scores", newer)
    publish(platform)
    sample(pl.concat([rows, newer])).write_parquet(folder / "sample-changed.parquet")


def ours(inputs: Path) -> Outcome:
    """All users, one step each, into LMDB."""
    with scratch(inputs) as folder:
        return _materialized(inputs / "once", f"lmdb:{folder}/online", inputs / "sample.parquet")


def into_redis(inputs: Path) -> Outcome:
    """The same into Redis."""
    with redis_server() as port:
        return _materialized(inputs / "once", f"redis://127.0.0.1:{port}/0", inputs / "sample.parquet")


def with_history(inputs: Path) -> Outcome:
    """A tenth of the users, ten steps each, into LMDB."""
    with scratch(inputs) as folder:
        return _materialized(inputs / "history", f"lmdb:{folder}/online", inputs / "sample-history.parquet")


def difference(inputs: Path) -> Outcome:
    """Those that have changed, into a store that has all."""
    with scratch(inputs) as folder:
        shutil.copytree(inputs / "before", Path(folder) / "online")
        return _materialized(inputs / "changed", f"lmdb:{folder}/online", inputs / "sample-changed.parquet")


def _materialized(root: Path, online: str, sampled: Path) -> Outcome:
    with served_from(root, online) as platform:
        report = platform.materialize(VIEW)
        peak = peak_rss_mb()
        found = read_back(platform, pl.read_parquet(sampled)[KEY])
    return Outcome(found, report.seconds, peak, {"records": report.records, "whole": report.whole})


def _line(found: dict[str, Measured], folder: Path) -> Line:
    users = found[OURS].notes["records"]
    rates = {name: m.notes.get("records", users) / m.seconds for name, m in found.items()}
    peers = {name: rate for name, rate in rates.items() if name.startswith("feast")}
    return Line(
        "materialize", "records/s", rates[OURS], peers, rates[OURS] / max(peers.values()) if peers else None,
        f"at least {GOAL:,} records/s", rates[OURS] >= GOAL, _is_equal(found, folder), found[OURS].peak_rss_mb,
        {name: found[name].peak_rss_mb for name in peers}, _extra(found, rates, peers),
    )  # fmt: skip


def _extra(found: dict[str, Measured], rates: dict[str, float], peers: dict[str, float]) -> dict[str, Any]:
    extra: dict[str, Any] = {
        "records": found[OURS].notes["records"],
        "seconds": {n: m.seconds for n, m in found.items()},
    }
    extra["cpu_seconds"] = {name: m.cpu_seconds for name, m in found.items()}
    if "redis" in found:
        extra["redis_records_per_second"] = rates["redis"]
    if "feast redis" in peers:
        extra["redis_ratio"] = rates["redis"] / peers["feast redis"]
    if not peers:
        extra["peers_missing"] = MISSING
    history, few = found["history"], found["difference"]
    extra["history_records_per_second"] = rates["history"]
    extra["history_steps_per_second"] = rates["history"] * HISTORY
    extra["difference"] = {**few.notes, "seconds": few.seconds, "of_whole": few.seconds / found[OURS].seconds}
    extra["history_rss_mb"] = history.peak_rss_mb
    return extra


def _is_equal(found: dict[str, Measured], folder: Path) -> bool:
    others = {"history": "sample-history", "difference": "sample-changed"}
    wanted = {name: pl.read_parquet(folder / f"{others.get(name, 'sample')}.parquet") for name in found}
    return not found["difference"].notes["whole"] and all(m.frame().equals(wanted[n]) for n, m in found.items())


CONTENDERS = {OURS: ours, "redis": into_redis, "history": with_history, "difference": difference}
