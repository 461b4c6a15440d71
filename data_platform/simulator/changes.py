"""The rides table's change log, as a Debezium connector delivers it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.simulator.faults import DUPLICATE, FaultShares
from data_platform.simulator.randomness import Stream, generator

__all__ = ["RIDE_SCHEMA", "Stage", "change_log", "deliver", "envelopes"]

RIDE_SCHEMA: dict[str, pl.DataType] = {
    "ride_id": pl.Int64(),
    "rider_id": pl.Int64(),
    "driver_id": pl.Int64(),
    "city": pl.String(),
    "pickup_lat": pl.Float64(),
    "pickup_lon": pl.Float64(),
    "status": pl.String(),
    "requested_at": pl.Int64(),
    "accepted_at": pl.Int64(),
    "picked_up_at": pl.Int64(),
    "completed_at": pl.Int64(),
    "fare": pl.Decimal(10, 2),
    "rating": pl.Int64(),
    "phone": pl.String(),
}
"""Columns of the rides table; the times are microseconds since 1970-01-01 UTC, as a connector sends DATETIME."""

CONNECTOR_LAG_US = 85_000
"""From a change's commit until the connector has read it."""

_DAY_US = 86_400_000_000


class Stage(IntEnum):
    """What happened to a ride, in the only order in which it can."""

    REQUESTED = 0
    ACCEPTED = 1
    PICKED_UP = 2
    ENDED = 3
    RATED = 4
    CORRECTED = 5
    REASSIGNED = 6
    DELETED = 7


_HAPPENED_AT = {
    Stage.REQUESTED: pl.col("requested_at"),
    Stage.ACCEPTED: pl.col("accepted_at"),
    Stage.PICKED_UP: pl.col("picked_up_at"),
    Stage.ENDED: pl.coalesce("completed_at", "cancelled_at"),
    Stage.RATED: pl.col("rated_at"),
    Stage.CORRECTED: pl.col("corrected_at"),
    Stage.REASSIGNED: pl.col("reassigned_at"),
    Stage.DELETED: pl.col("deleted_at"),
}


def change_log(seed: int, rides: list[tuple[int, pl.DataFrame]], day: int, day_start_us: int) -> pl.DataFrame:
    """Return the changes of the rides table that are committed on a day, in the order of the log.

    Parameters
    ----------
    seed
        Seed of the simulation.
    rides
        Day and rides (from `rides.true_rides`) of the day before and of the day; older rides change no more.
    day
        Day index. Day 0 begins with a snapshot of the rides of the day before.
    day_start_us
        Microseconds since 1970-01-01 UTC at the day's start.

    Returns
    -------
    polars.DataFrame
        op (c, u, d, or r for the snapshot), before and after (structs of `RIDE_SCHEMA` or null), commit_us, ts_us (the
        time known; strictly increasing), file and pos (one log file a day, positions strictly increasing within it).
    """
    versions = pl.concat([_versions(generator(seed, Stream.CHANGES, of_day), frame) for of_day, frame in rides])
    today = versions.filter(pl.col("commit_us").is_between(day_start_us, day_start_us + _DAY_US, closed="left"))
    log = today.sort("commit_us", "ride_id", "stage")
    if day == 0:
        log = pl.concat([_snapshot(versions, day_start_us), log])
    return _positions(log, day).select("op", "before", "after", "commit_us", "ts_us", "file", "pos")


def deliver(rng: np.random.Generator, log: pl.DataFrame, shares: FaultShares) -> pl.DataFrame:
    """Return the log in the order of delivery, some changes a second time a little later, with a column `fault`."""
    place = np.arange(len(log), dtype=np.float64)
    again = np.flatnonzero(rng.random(len(log)) < shares.ride_duplicate)
    later = again + rng.geometric(0.02, len(again)) + 0.5
    first = log.with_columns(fault=pl.lit(None, dtype=pl.String))
    second = log[again].with_columns(fault=pl.lit(DUPLICATE))
    return pl.concat([first, second])[np.argsort(np.concatenate([place, later]), kind="stable")]


def envelopes(log: pl.DataFrame) -> pl.Series:
    """Return each change as the JSON text of a Debezium envelope; decimals are numbers with their scale."""
    source = pl.struct(
        ts_ms=pl.col("commit_us") // 1_000_000 * 1_000,
        file="file",
        pos="pos",
        row=pl.lit(0, dtype=pl.Int64),
        snapshot=pl.when(pl.col("op") == "r").then(pl.lit("true")).otherwise(pl.lit("false")),
        db=pl.lit("rides"),
        table=pl.lit("rides"),
    )
    whole = pl.struct("before", "after", "op", ts_ms=pl.col("ts_us") // 1_000, ts_us="ts_us", source=source)
    text = log.select(whole.struct.json_encode().str.replace_all(r'"fare":"([0-9.]+)"', '"fare":$1').alias("line"))
    return text.to_series()


def _versions(rng: np.random.Generator, rides: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each change of each ride, with the row before and after it."""
    stages = [
        rides.filter(happened.is_not_null()).with_columns(stage=pl.lit(int(stage)), happened_us=happened)
        for stage, happened in _HAPPENED_AT.items()
    ]
    changes = pl.concat(stages).sort("ride_id", "stage").pipe(_rows)
    latency_us = rng.exponential(60_000, len(changes)).clip(5_000, 1_000_000).astype(np.int64)
    first = pl.col("stage") == Stage.REQUESTED
    last = pl.col("stage") == Stage.DELETED
    return changes.select(
        "ride_id",
        "stage",
        commit_us=pl.col("happened_us") + pl.Series(latency_us),
        op=pl.when(first).then(pl.lit("c")).when(last).then(pl.lit("d")).otherwise(pl.lit("u")),
        before=pl.when(~first).then(pl.col("row").shift(1)),
        after=pl.when(~last).then("row"),
    )


def _rows(changes: pl.DataFrame) -> pl.DataFrame:
    """Add `row`: the table's row right after each change, which knows nothing of the changes to come."""

    def since(stage: Stage, name: str) -> pl.Expr:
        return pl.when(pl.col("stage") >= stage).then(name)

    outcome = pl.when(pl.col("completed_at").is_null()).then(pl.lit("cancelled")).otherwise(pl.lit("completed"))
    status = (
        pl.when(pl.col("stage") >= Stage.ENDED)
        .then(outcome)
        .otherwise(pl.col("stage").replace_strict({0: "requested", 1: "accepted", 2: "picked_up"}, default=None))
    )
    accepted_by = pl.when(pl.col("accepted_at").is_not_null() & (pl.col("stage") >= Stage.ACCEPTED))
    columns = {
        "driver_id": pl.coalesce(
            since(Stage.REASSIGNED, "reassigned_driver_id"), accepted_by.then("offered_driver_id")
        ),
        "status": status,
        "accepted_at": since(Stage.ACCEPTED, "accepted_at"),
        "picked_up_at": since(Stage.PICKED_UP, "picked_up_at"),
        "completed_at": since(Stage.ENDED, "completed_at"),
        "fare": since(Stage.ENDED, "fare"),
        "rating": pl.coalesce(since(Stage.CORRECTED, "corrected_rating"), since(Stage.RATED, "rating")),
    }
    row = [columns.get(name, pl.col(name)).cast(dtype).alias(name) for name, dtype in RIDE_SCHEMA.items()]
    return changes.with_columns(row=pl.struct(row))


def _snapshot(versions: pl.DataFrame, day_start_us: int) -> pl.DataFrame:
    """Return the rows that the connector finds in the table when it starts."""
    state = versions.filter(pl.col("commit_us") < day_start_us).group_by("ride_id", maintain_order=True).last()
    return (
        state.filter(pl.col("op") != "d")
        .sort("ride_id")
        .with_columns(
            commit_us=pl.lit(day_start_us), op=pl.lit("r"), before=pl.lit(None, dtype=versions.schema["before"])
        )
        .select(versions.columns)
    )


def _positions(log: pl.DataFrame, day: int) -> pl.DataFrame:
    known_us = log["commit_us"].to_numpy() + CONNECTOR_LAG_US
    size_bytes = pl.col("op").replace_strict({"c": 310, "u": 520, "d": 330, "r": 310}, return_dtype=pl.Int64)
    return log.with_columns(
        ts_us=pl.Series(_strictly_increasing(known_us)),
        file=pl.lit(f"binlog.{day + 1:06d}"),
        pos=size_bytes.cum_sum() + 4,
    )


def _strictly_increasing(times: NDArray[np.int64]) -> NDArray[np.int64]:
    step = np.arange(len(times))
    return np.asarray(np.maximum.accumulate(times - step) + step)
