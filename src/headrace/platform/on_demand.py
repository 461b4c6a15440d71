"""On-demand features: users' functions on columns, the same code for training and at request time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from headrace.definitions.services import bindings
from headrace.definitions.transforms import OnDemand, RequestTime
from headrace.engines.polars_types import to_polars
from headrace.errors import TransformError


def computed(item: OnDemand, columns: Mapping[str, pl.Series], time: pl.Series) -> pl.DataFrame:
    """Compute an on-demand feature's outputs.

    Parameters
    ----------
    item : OnDemand
        The feature.
    columns : mapping of str to Series
        The features and request columns at hand, by column.
    time : Series
        The time of each request.

    Returns
    -------
    frame
        A column an output, named ``name__output``.

    Raises
    ------
    TransformError
        If the function raises, or answers with something else than its outputs.
    """
    import narwhals as nw

    place = f"on_demand '{item.name}' ({item.path})"
    times = {name for name, dtype in item.request.items() if isinstance(dtype, RequestTime)}
    inputs = {
        parameter: nw.from_native(time if column in times else columns[column], series_only=True)
        for parameter, column in bindings(item).items()
    }
    try:
        made = item.function(**inputs)
    except Exception as error:
        raise TransformError(f"{place}: {type(error).__name__}: {error}") from error
    return pl.DataFrame([_output(item, name, _by_name(item, made, place), len(time), place) for name in item.outputs])


def _by_name(item: OnDemand, made: Any, place: str) -> Mapping[str, Any]:
    if isinstance(made, Mapping):
        return made
    if len(item.outputs) == 1:
        return {next(iter(item.outputs)): made}
    raise TransformError(f"{place}: it has {len(item.outputs)} outputs; return a dict of them by name.")


def _output(item: OnDemand, name: str, made: Mapping[str, Any], n: int, place: str) -> pl.Series:
    import narwhals as nw

    if name not in made:
        raise TransformError(f"{place}: output '{name}' is missing; it returned {', '.join(made) or 'nothing'}.")
    series = nw.to_native(made[name], pass_through=True)
    if not isinstance(series, pl.Series) or len(series) != n:
        found = f"{len(series)} values" if isinstance(series, pl.Series) else type(series).__name__
        raise TransformError(f"{place}: output '{name}' is {found}; a Series of {n} values, one a row, is needed.")
    return series.cast(to_polars(item.outputs[name])).alias(f"{item.name}__{name}")
