"""Driver documents: one daily file, the truth of its day."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl

from data_platform.simulator.drivers import FIRST_DRIVER_ID, cohort, roster
from data_platform.simulator.randomness import HISTORY_DAY, Stream, generator

__all__ = ["DOCUMENT_SCHEMA", "documents"]

DOCUMENT_SCHEMA: dict[str, pl.DataType] = {
    "driver_id": pl.Int64(),
    "full_name": pl.String(),
    "phone": pl.String(),
    "licence_no": pl.String(),
    "vehicle_id": pl.String(),
    "inspection_passed_on": pl.Date(),
    "inspection_valid_days": pl.Int64(),
    "onboarded_on": pl.Date(),
    "document_status": pl.String(),
}

_FIRST_NAMES = ("Aylin", "Elchin", "Fatima", "Giorgi", "Hamad", "Leyla", "Mariam", "Nino", "Omar", "Rashad", "Salma")
_LAST_NAMES = ("Abashidze", "Al Amri", "Aliyev", "Hakobyan", "Haddad", "Karimov", "Lomidze", "Petrosyan", "Saleh")
_PENDING_DAYS = 3


def documents(seed: int, drivers: int, day: int, start: date) -> pl.DataFrame:
    """Return the documents of every driver on the books on a day, by driver_id.

    A driver who left is missing from then on. Inspections are renewed a little before or after they expire, so on any
    day some have expired and are not renewed yet.

    Parameters
    ----------
    seed
        Seed of the simulation.
    drivers
        Size of the starting fleet.
    day
        Day index.
    start
        Date of day 0.

    Returns
    -------
    polars.DataFrame
        Columns and types of `DOCUMENT_SCHEMA`; an inspection holds for `inspection_valid_days` from
        `inspection_passed_on`; `document_status` is approved, pending or rejected.
    """
    on_books = pl.DataFrame({"driver_id": roster(seed, drivers, day).driver_id})
    papers = pl.concat([_papers(seed, drivers, joined) for joined in range(HISTORY_DAY, day + 1)])
    known = on_books.join(papers, on="driver_id", how="left", maintain_order="left")
    period = pl.col("inspection_valid_days") + pl.col("renewal_gap_days")
    age = day - pl.col("onboarded_day")
    passed_day = pl.col("onboarded_day") + age // period * period
    status = (
        pl.when(age < _PENDING_DAYS)
        .then(pl.lit("pending"))
        .when(pl.col("rejected_day") <= day)
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("approved"))
    )
    return known.with_columns(
        inspection_passed_on=pl.lit(start) + pl.duration(days=passed_day),
        onboarded_on=pl.lit(start) + pl.duration(days="onboarded_day"),
        document_status=status,
    ).select(pl.col(name).cast(dtype) for name, dtype in DOCUMENT_SCHEMA.items())


@lru_cache(maxsize=64)
def _papers(seed: int, drivers: int, joined: int) -> pl.DataFrame:
    """Return what a cohort handed in, with the drawn days of its future."""
    members = cohort(seed, drivers, joined)
    size = len(members)
    rng = generator(seed, Stream.PAPERS, joined)
    first, last = rng.integers(0, len(_FIRST_NAMES), size), rng.integers(0, len(_LAST_NAMES), size)
    days_before = rng.integers(1, 1_500, size) if joined == HISTORY_DAY else np.zeros(size, dtype=np.int64)
    return pl.DataFrame(
        {
            "driver_id": members.index + FIRST_DRIVER_ID,
            "full_name": [f"{_FIRST_NAMES[f]} {_LAST_NAMES[n]}" for f, n in zip(first, last, strict=True)],
            "phone": [f"+97150{number}" for number in rng.integers(1_000_000, 9_999_999, size)],
            "licence_no": [f"DL-{number}" for number in rng.integers(10_000_000, 99_999_999, size)],
            "vehicle_id": [f"V{number:06d}" for number in members.index],
            "inspection_valid_days": rng.choice([30, 90, 180, 365], size, p=[0.2, 0.3, 0.3, 0.2]),
            "renewal_gap_days": rng.integers(-10, 8, size),
            "onboarded_day": members.joined_day - days_before,
            "rejected_day": joined + rng.geometric(0.002, size),
        }
    )
