"""Which aggregate computes which function of the definitions: to add one, add its line here."""

from __future__ import annotations

from collections.abc import Callable

from headrace.definitions.aggregations import Aggregation
from headrace.timeline.aggregates.base import Aggregate
from headrace.timeline.aggregates.counting import Count, ExactSum
from headrace.timeline.aggregates.distinct import ApproxCountDistinct, CountDistinct
from headrace.timeline.aggregates.extremes import Extreme
from headrace.timeline.aggregates.moments import FloatSum, Variance
from headrace.timeline.aggregates.quantiles import Quantile

ORDERED = ("last", "first", "last_n")
"""Functions that pick rows by their order; see `ordered`."""

AGGREGATES: dict[str, Callable[[Aggregation, bool], Aggregate]] = {
    "count": lambda _, _exact: Count(),
    "sum": lambda _, exact: ExactSum() if exact else FloatSum(),
    "mean": lambda _, exact: ExactSum(mean=True) if exact else FloatSum(mean=True),
    "variance": lambda feature, _exact: Variance(feature.ddof),
    "stddev": lambda feature, _exact: Variance(feature.ddof, root=True),
    "min": lambda _, _exact: Extreme(),
    "max": lambda _, _exact: Extreme(greatest=True),
    "count_distinct": lambda _, _exact: CountDistinct(),
    "approx_count_distinct": lambda _, _exact: ApproxCountDistinct(),
    "quantile": lambda feature, _exact: Quantile(feature.q or 0.0, feature.error or 0.01),
}


def aggregate_for(feature: Aggregation, exact: bool) -> Aggregate:
    """The aggregate of a feature.

    Parameters
    ----------
    feature : Aggregation
        Its recipe.
    exact : bool
        Whether the column holds whole numbers.
    """
    return AGGREGATES[feature.function](feature, exact)
