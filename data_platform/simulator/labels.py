"""Training labels: will this rider be served late?"""

from __future__ import annotations

import polars as pl

__all__ = ["labels"]


def labels(rides: pl.DataFrame) -> pl.DataFrame:
    """Return one label for each ride that was offered to a driver, by time of request; test rides are left out.

    The question, asked at the moment of the request, is whether the rider will wait longer than
    `trips.LATE_AFTER_SECONDS` or cancel. What decides it can be known then, in part: the traffic around the driver
    (the driver's recent speed), the city's demand over its supply (the waits of the last minutes), and the driver's
    quality (the lifetime rating). What must not be known is the ride's own row: its times, status and rating follow
    from the outcome, and the table's final state holds them under the very `requested_at` that is the label's time.

    Parameters
    ----------
    rides
        The day's rides as they finally turned out, from `rides.true_rides`.

    Returns
    -------
    polars.DataFrame
        label_time (Datetime us UTC, the request), ride_id, driver_id (the driver it was offered to), city, pickup_lat,
        pickup_lon, target (Int8, 1 if late).
    """
    return rides.filter(pl.col("deleted_at").is_null()).select(
        pl.col("requested_at").cast(pl.Datetime("us", "UTC")).alias("label_time"),
        "ride_id",
        pl.col("offered_driver_id").alias("driver_id"),
        "city",
        "pickup_lat",
        "pickup_lon",
        pl.col("late").cast(pl.Int8).alias("target"),
    )
