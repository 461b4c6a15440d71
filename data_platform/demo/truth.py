"""A feature computed a second time, from the simulator's truth and by its definition alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

SPEED: Final = "driver_now__speed_mean_5m"
_HOP = "30s"
_NOT_BELIEVED: Final = ("late", "duplicate")
"""Faults that leave the ping itself right."""


def speed_differs(root: Path, values: pl.DataFrame) -> int:
    """At how many requests the mean speed is another than that of the true pings.

    A ping counts at a request if it was received before it, and happened since five minutes before,
    in hops of 30 seconds.

    Parameters
    ----------
    root : Path
        The project, with the truth beside the lake.
    values : polars.DataFrame
        label_time, driver_id and the feature.
    """
    asked = values.select("label_time", "driver_id", SPEED).with_row_index("request")
    wrong = pl.scan_parquet(root / "truth/gps_faults/*.parquet").filter(~pl.col("fault").is_in(_NOT_BELIEVED))
    pings = (
        pl.scan_parquet(root / "truth/gps/*.parquet")
        .join(wrong, on="event_id", how="anti")
        .filter(pl.col("status") != "offline", pl.col("driver_id").is_in(asked["driver_id"].unique().implode()))
        .select("driver_id", "ts", "speed_mps", known=pl.max_horizontal("ts", "received_at"))
    )
    since = (pl.col("label_time") - pl.duration(minutes=5)).dt.truncate(_HOP)
    seen = (
        asked.lazy().join(pings, on="driver_id").filter(pl.col("known") < pl.col("label_time"), pl.col("ts") >= since)
    )
    means = seen.group_by("request").agg(mean=pl.col("speed_mps").mean())
    both = asked.lazy().join(means, on="request", how="left").collect()
    same = ((pl.col(SPEED) - pl.col("mean")).abs() < 1e-9).fill_null(value=False)
    return int(both.select((~(same | (pl.col(SPEED).is_null() & pl.col("mean").is_null()))).sum()).item())
