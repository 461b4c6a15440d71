"""The layout of a view's records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headrace.definitions.aggregations import Aggregation
from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Lifetime
from headrace.timeline.packed import Field, Layout
from headrace.timeline.packed_tiles import TILED, Merged, TileSet
from headrace.timeline.packed_types import plain
from headrace.timeline.windows import ceil_to
from headrace.types import DataType, Int64


def layout_of(view: FeatureView, columns: Mapping[str, DataType] | None = None) -> Layout:
    """The layout of a view's records.

    Parameters
    ----------
    view : FeatureView
        The view.
    columns : mapping of str to DataType, optional
        The columns of its transformed rows; the source's, if left out.

    Raises
    ------
    UnknownNameError
        If a feature's column is not there.
    """
    schema = dict(view.source.schema if columns is None else columns)
    fields = [Field(name, view.feature_type(name, schema), made.ages) for name, made in view.features.items()]
    return Layout(tuple(fields), view.ttl_us, _tile_sets(view, schema, fields))


def tiles_since(view: FeatureView, frontier: int) -> int:
    """The instant from which only windows change, if a view has been computed through `frontier` (microseconds).

    Values change at multiples of a view's resolution: what was known before the frontier may only show at the next.
    """
    return frontier if view.resolution_us is None else int(ceil_to(np.array([frontier]), view.resolution_us)[0])


def _tile_sets(view: FeatureView, schema: Mapping[str, DataType], fields: list[Field]) -> tuple[TileSet, ...]:
    """The view's windows; none where one of its features needs rows to be merged, not tiles."""
    windowed = [(i, made) for i, made in enumerate(view.features.values()) if not isinstance(made.window, Lifetime)]
    if view.mutable or any(made.function not in TILED for _, made in windowed):
        return ()
    sets: dict[Any, list[Merged]] = {}
    for i, made in windowed:
        rows = (made.window, made.where, made.column)
        sets.setdefault(rows, []).append(_merged(i, made, fields[i].dtype, schema))
    return tuple(TileSet(tuple(features)) for features in sets.values())


def _merged(index: int, made: Aggregation, dtype: DataType, schema: Mapping[str, DataType]) -> Merged:
    column = Int64 if made.column is None else schema[made.column]
    scale = column.scale or 0 if made.function == "mean" else 0
    return Merged(index, made.function, dtype, not column.is_float, scale, made.ddof, _default(made, dtype))


def _default(made: Aggregation, dtype: DataType) -> Any:
    """What stands for null, as it is stored."""
    if made.default is None:
        return None
    encode = plain(dtype)[0]
    return encode(made.default) if encode else float(made.default) if dtype.is_float else made.default  # type: ignore[arg-type]
