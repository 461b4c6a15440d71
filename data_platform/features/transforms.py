"""Row-wise functions on the rows of a source: narwhals in, narwhals out, on any engine."""

from typing import Any

import narwhals as nw

import headrace as hr

from .grid import cell_number


@hr.transform
def picked_up(rides: Any) -> Any:
    """Keep the rides whose rider was picked up, with how many seconds that took."""
    waited_us = nw.col("picked_up_at").dt.timestamp("us") - nw.col("requested_at").dt.timestamp("us")
    return rides.filter(~nw.col("picked_up_at").is_null()).with_columns(wait_s=waited_us / 1_000_000)


@hr.transform
def at_pickup_cell(rides: Any) -> Any:
    """Add the cell in which the rider waits."""
    return rides.with_columns(cell=cell_number(nw.col("pickup_lat"), nw.col("pickup_lon")))
