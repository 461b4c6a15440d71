"""Features as the Polars engine computes them: which rows count, as which numbers, and back to columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from headrace.definitions.aggregations import Aggregation
from headrace.definitions.windows import Window
from headrace.timeline.aggregates.base import Aggregate, Result
from headrace.timeline.aggregates.catalogue import ORDERED, aggregate_for
from headrace.timeline.arrays import Ints

_COUNTS = ("count", "count_distinct", "approx_count_distinct")
_DISTINCT = "count_distinct"
_SKETCH = "approx_count_distinct"


@dataclass(frozen=True, slots=True)
class Slot:
    """Which rows a feature looks at: features with equal slots share their intervals.

    Parameters
    ----------
    window : Window
        The window.
    where : str, optional
        The condition.
    present : str, optional
        A column that must have a value.
    """

    window: Window
    where: str | None
    present: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """One feature, ready to be computed on a frame's columns."""

    name: str
    feature: Aggregation
    dtype: pl.DataType | None

    @property
    def ordered(self) -> bool:
        """Whether it picks rows by their order."""
        return self.feature.function in ORDERED

    @property
    def slot(self) -> Slot:
        """The rows it looks at."""
        takes_nulls = self.ordered and not self.feature.skip_nulls
        return Slot(self.feature.window, self.feature.where, None if takes_nulls else self.feature.column)

    @property
    def exact(self) -> bool:
        """Whether the column is computed in whole numbers."""
        return self.dtype is not None and not self.dtype.is_float()

    @property
    def by_value(self) -> bool:
        """Whether it compares values of any type, instead of adding numbers."""
        return self.feature.function == _DISTINCT

    @property
    def aggregate(self) -> Aggregate:
        """What merges its rows."""
        return aggregate_for(self.feature, self.exact)

    def values(self, column: pl.Series | None, n: int) -> NDArray[Any]:
        """The numbers that the aggregate lifts, for rows that have a value; hashes for the sketch."""
        if column is None or self.feature.function == "count":
            return np.zeros(n, dtype=np.int64)
        if self.feature.function == _SKETCH:
            return hashes(column)
        physical = column.to_physical()
        if physical.dtype.is_float():
            return physical.cast(pl.Float64).to_numpy()
        return self._scaled(physical.cast(pl.Int64).to_numpy())

    def _scaled(self, whole: Ints) -> NDArray[Any]:
        if isinstance(self.dtype, pl.Decimal) and self.feature.function in ("variance", "stddev", "quantile"):
            return whole / 10.0**self.dtype.scale
        return whole

    def column(self, result: Result) -> pl.Series:
        """A result as a column of the feature's type, null where there is no value."""
        values = result.values
        dtype = self.dtype
        if isinstance(dtype, pl.Decimal) and self.feature.function == "mean":
            values = values / 10.0**dtype.scale
        valid = result.valid
        if values.dtype.kind == "f":
            valid = valid & np.isfinite(values)  # beyond the range of floats there is no value either
        series = pl.Series(self.name, values, dtype=pl.Float64 if values.dtype.kind == "f" else pl.Int64)
        if not valid.all():
            series = pl.select(pl.when(pl.Series(valid)).then(series).alias(self.name)).to_series()
        return self._typed(series)

    def _typed(self, series: pl.Series) -> pl.Series:
        function, dtype = self.feature.function, self.dtype
        if function in _COUNTS or function in ("mean", "variance", "stddev", "quantile") or dtype is None:
            return series
        if isinstance(dtype, pl.Decimal):
            scale = dtype.scale
            precision = 18 if function == "sum" else dtype.precision
            return pl.Series((series.cast(pl.Decimal(38, scale)) / 10**scale).cast(pl.Decimal(precision, scale)))
        return series if function == "sum" else series.cast(dtype)


def plans(features: dict[str, Aggregation], schema: pl.Schema) -> list[Plan]:
    """The features of a view over rows of a schema."""
    return [Plan(name, f, None if f.column is None else schema[f.column]) for name, f in features.items()]


def hashes(column: pl.Series) -> NDArray[Any]:
    """A 64-bit hash of each value that is the same on every machine and in every version (XXH3).

    Different types of whole numbers hash alike; text by its UTF-8 bytes.
    """
    unique = column.unique()
    digests = [xxhash.xxh3_64_intdigest(_bytes(value)) for value in unique.to_list()]
    table = pl.DataFrame({"value": unique, "hash": pl.Series(digests, dtype=pl.UInt64)})
    rows = pl.DataFrame({"value": column})
    return rows.join(table, on="value", how="left", maintain_order="left", nulls_equal=True)["hash"].to_numpy()


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def without_non_finite(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """NaN and infinities as nulls, and how many there were by column."""
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float() and not name.startswith("_hr_")]
    if not floats:
        return frame, {}
    found = frame.select((~pl.col(name).is_finite()).sum().alias(name) for name in floats).row(0, named=True)
    dirty = {name: int(count) for name, count in found.items() if count}
    clean = [pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in dirty]
    return frame.with_columns(clean), dirty
