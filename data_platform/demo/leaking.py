"""The join that leaks: the driver's last ride by its time of request, from the table as it ended up.

It reads well (`requested_at <= label_time`, take the newest), and it is wrong: the newest such row is
the ride that the label is about, with the wait that nobody knew when it was requested.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace import Platform

WAIT: Final = "driver_wait__last_wait_s"


def final_rides(platform: Platform) -> pl.DataFrame:
    """The rides table as it ended up: the last version of each ride that was not deleted."""
    log = platform.context.lake.table("silver", "rides").scan().sort("_hr_position")
    return log.group_by("ride_id").last().filter(pl.col("_hr_op") != "d").collect()


def leaking_features(sets: pl.DataFrame, rides: pl.DataFrame) -> pl.DataFrame:
    """A training set with the driver's last wait joined wrongly; the other features stay as they are."""
    waits = rides.drop_nulls("driver_id").select(
        "driver_id",
        pl.col("requested_at").alias("label_time"),
        ((pl.col("picked_up_at") - pl.col("requested_at")).dt.total_microseconds() / 1e6).alias(WAIT),
    )
    labels = sets.drop(WAIT).with_row_index("_place").sort("label_time")
    joined = labels.join_asof(waits.sort("label_time"), on="label_time", by="driver_id", check_sortedness=False)
    return joined.sort("_place").select(sets.columns)
