"""On-demand features of a request: the same functions on the same columns as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from headrace.platform.on_demand import computed
from headrace.platform.online_masking import typed
from headrace.timeline.packed import NULL_VALUE, PRESENT

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.types import DataType


def on_demand_columns(
    service: FeatureService,
    types: Mapping[str, DataType],
    features: Mapping[str, Sequence[Any]],
    request: Mapping[str, Sequence[Any]],
    time_us: int,
    n: int,
) -> tuple[dict[str, list[Any]], dict[str, list[int]]]:
    """The values and the statuses of a service's on-demand features, by column.

    Parameters
    ----------
    service : FeatureService
        The service.
    types : mapping of str to DataType
        Those of `features`.
    features, request : mapping of str to sequence
        What was read for `n` entities, and what the request brought.
    time_us : int
        The request's time, in microseconds.
    n : int
        How many entities there are.

    Raises
    ------
    DefinitionError
        If a value of the request is not of its column's type.
    TransformError
        If a function raises, or answers with something else than its outputs.
    """
    columns = {name: typed(name, types[name], values) for name, values in features.items()}
    columns |= {name: typed(name, dtype, request[name]) for name, dtype in service.request.items()}
    time = pl.Series("time", [time_us] * n, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    values: dict[str, list[Any]] = {}
    for item in service.on_demand:
        values |= computed(item, columns, time).to_dict(as_series=False)
    statuses = {name: [NULL_VALUE if each is None else PRESENT for each in found] for name, found in values.items()}
    return values, statuses
