"""What the simulator knows to be true, and a feature computed from that by its definition alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

SPEED: Final = "driver_now__speed_mean_5m"
HARMLESS: Final = ("late", "duplicate")
"""Faults that leave the ping itself right."""


def true_pings(root: Path) -> pl.LazyFrame:
    """The pings that landed whole, as they truly were."""
    broken = pl.scan_parquet(root / "truth/gps_faults/*.parquet").filter(~pl.col("fault").is_in(HARMLESS))
    return pl.scan_parquet(root / "truth/gps/*.parquet").join(broken, on="event_id", how="anti")


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
    pings = (
        true_pings(root)
        .filter(pl.col("status") != "offline", pl.col("driver_id").is_in(asked["driver_id"].unique().implode()))
        .select("driver_id", "ts", "speed_mps", known=pl.max_horizontal("ts", "received_at"))
    )
    since = (pl.col("label_time") - pl.duration(minutes=5)).dt.truncate("30s")
    counts = (pl.col("known") < pl.col("label_time")) & (pl.col("ts") >= since)
    seen = asked.lazy().join(pings, on="driver_id").filter(counts)
    means = seen.group_by("request").agg(mean=pl.col("speed_mps").mean())
    both = asked.lazy().join(means, on="request", how="left").collect()
    near = ((pl.col(SPEED) - pl.col("mean")).abs() < 1e-9).fill_null(value=False)
    absent = pl.col(SPEED).is_null() & pl.col("mean").is_null()
    return int(both.select((~(near | absent)).sum()).item())
