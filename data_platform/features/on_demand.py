"""Features that depend on the moment one asks: the same code at request time and in training."""

from datetime import timedelta
from typing import Any

import narwhals as nw

import headrace as hr

from .views import driver_now, driver_papers

HEARD_WITHIN = timedelta(seconds=60)
DAY_US = 86_400_000_000


@hr.on_demand(
    inputs=[driver_now[["last_ping", "status"]]],
    request={"now": hr.RequestTime()},
    outputs={"available": hr.Bool},
)
def available(last_ping: Any, status: Any, now: Any) -> Any:
    """Whether a driver can take a ride: free, and heard of within the last minute."""
    return ((status == "available") & (now - last_ping <= HEARD_WITHIN)).fill_null(value=False)


@hr.on_demand(
    inputs=[driver_papers[["passed_on", "valid_days"]]],
    request={"now": hr.RequestTime()},
    outputs={"valid": hr.Bool, "days_left": hr.Float64},
)
def inspection(passed_on: Any, valid_days: Any, now: Any) -> Any:
    """Whether the vehicle's inspection holds, and for how many days more.

    It holds until 00:00 UTC of the day that is `valid_days` after it was passed: it expires
    at that microsecond by itself, though no file says so and no job runs. Without papers it does not hold.
    """
    passed_us = passed_on.cast(nw.Datetime("us", "UTC")).dt.timestamp("us")
    left_us = passed_us + valid_days * DAY_US - now.dt.timestamp("us")
    return {"valid": (left_us > 0).fill_null(value=False), "days_left": left_us / DAY_US}
