"""How long records are kept: past steps for readers whose clocks are behind, and records that are at rest."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Lifetime
from headrace.timeline.arrays import Ints
from headrace.types import DAY, SECOND

TIME: Final = "valid_from"
EVENT_TIME: Final = "event_time"
KEPT_BEFORE: Final = 60 * SECOND
"""A record keeps the step in force so long before it was written, for readers whose clocks are behind."""
KEPT_IDLE: Final = 7 * DAY


def expiries(view: FeatureView, steps: pl.DataFrame) -> Ints | None:
    """When each record would expire if a step were its last, in microseconds; None for a view whose records do not.

    A record expires `KEPT_IDLE` after its last change, where nothing is left in it then: every feature is of a
    window, and all of these are empty after the last scheduled step; or is one that ages, and too old by the
    view's ttl. A lifetime aggregate, a `first`, or a `last` without a ttl keeps its value, so such a record stays.
    """
    ages = [each.ages for each in view.features.values() if isinstance(each.window, Lifetime)]
    if not all(ages) or (ages and view.ttl_us is None):
        return None
    last = steps[TIME].dt.epoch("us").to_numpy()
    if ages:
        aged = steps[EVENT_TIME].dt.epoch("us") + (view.ttl_us or 0)
        last = np.maximum(last, aged.fill_null(0).to_numpy())
    return np.asarray(last + KEPT_IDLE)
