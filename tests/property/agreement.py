"""When a value of the engine agrees with the oracle's: exactly, or within the stated error of its own rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from headrace.definitions.aggregations import Aggregation
from tests.property.oracle import Answer

FLOAT_ERROR = 1e-9
_ULPS = 64 * 2.0**-52


def micros(value: Any) -> Any:
    """Instants as the oracle counts them."""
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return [micros(item) for item in value] if isinstance(value, list) else value


def agrees(feature: Aggregation, found: Any, answer: Answer) -> bool:
    """Whether a feature's value is right."""
    found, wanted = micros(found), answer.value
    if found is None or wanted is None:
        return found is wanted
    if feature.function == "quantile":
        return bool(abs(found - wanted) <= (feature.error or 0) * abs(wanted) * (1 + FLOAT_ERROR) + 1e-290)
    if feature.function == "approx_count_distinct":
        return bool(abs(found - wanted) <= max(0 if wanted < 10 else 2, 5 * (feature.error or 0) * wanted))
    if isinstance(found, float) and feature.function in ("sum", "mean", "variance", "stddev"):
        return bool(abs(found - wanted) <= tolerance(feature, answer))
    return bool(found == wanted) and isinstance(found, date) == isinstance(wanted, date)


def tolerance(feature: Aggregation, answer: Answer) -> float:
    """The error allowed: 1e-9 of the sum of the magnitudes of the window's own rows.

    A variance comes from differences of means, each rounded to some ulps of the greatest value m: with such
    an error e, its root is off by e, and so it is off by 2 e times its root, and e squared.
    """
    sizes = [abs(float(value)) for value in answer.present]
    if feature.function in ("sum", "mean"):
        return FLOAT_ERROR * math.fsum(sizes) / (len(sizes) if feature.function == "mean" else 1)
    e, wanted = _ULPS * max(sizes, default=0.0), float(answer.value)
    if feature.function == "stddev":
        return FLOAT_ERROR * wanted + e
    return FLOAT_ERROR * wanted + 2 * e * math.sqrt(wanted) + e * e
