"""On-demand features of a request: the same functions on the same columns as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from headrace.errors import TransformError
from headrace.platform.on_demand import computed
from headrace.platform.online_masking import typed
from headrace.timeline.packed import FAILED, NULL_VALUE, PRESENT

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.definitions.transforms import OnDemand
    from headrace.types import DataType


@dataclass(frozen=True, slots=True)
class Made:
    """What on-demand features made of a request, by column.

    Parameters
    ----------
    values : mapping of str to list
        A value an entity; None where there is none.
    statuses : mapping of str to list of int
        Why: places in `headrace.timeline.packed.STATUSES`.
    failures : mapping of str to str
        For each column of a function that raised, what it raised: it fails alone, for all entities of the request.
    """

    values: dict[str, list[Any]]
    statuses: dict[str, list[int]]
    failures: dict[str, str]


def on_demand_columns(
    service: FeatureService,
    types: Mapping[str, DataType],
    features: Mapping[str, Sequence[Any]],
    request: Mapping[str, Sequence[Any]],
    time_us: int,
    n: int,
) -> Made:
    """A service's on-demand features.

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
    """
    columns = {name: typed(name, types[name], values) for name, values in features.items()}
    columns |= {name: typed(name, dtype, request[name]) for name, dtype in service.request.items()}
    time = pl.Series("time", [time_us] * n, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    made = Made({}, {}, {})
    for item in service.on_demand:
        _make(item, columns, time, made)
    return made


def _make(item: OnDemand, columns: Mapping[str, pl.Series], time: pl.Series, made: Made) -> None:
    try:
        found = computed(item, columns, time).to_dict(as_series=False)
    except TransformError as error:
        for name in (f"{item.name}__{output}" for output in item.outputs):
            made.values[name], made.statuses[name] = [None] * len(time), [FAILED] * len(time)
            made.failures[name] = str(error)
        return
    for name, values in found.items():
        made.values[name] = values
        made.statuses[name] = [NULL_VALUE if value is None else PRESENT for value in values]
