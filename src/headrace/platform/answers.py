"""Collecting what is found here and there into columns in the order of the questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.asof import NOT_FOUND


class Answers:
    """Columns that are filled in pieces, from any thread; rows that no piece fills are null.

    Parameters
    ----------
    schema : polars.Schema
        The columns.
    n : int
        How many rows there are.
    """

    def __init__(self, schema: pl.Schema, n: int) -> None:
        self.there: Bools = np.zeros(n, dtype=bool)
        self._columns = {
            name: (_Written if _has_width(dtype) else _Gathered)(dtype, n) for name, dtype in schema.items()
        }

    def fill(self, place: Ints, rows: pl.DataFrame) -> None:
        """Put rows at their places; no place is filled twice."""
        self.there[place] = True
        for name, column in self._columns.items():
            column.fill(place, rows[name])

    def frame(self) -> pl.DataFrame:
        """The columns."""
        return pl.DataFrame([column.series(self.there).alias(name) for name, column in self._columns.items()])


class _Written:
    """A column of numbers or times: each value is written to its place at once."""

    def __init__(self, dtype: pl.DataType, n: int) -> None:
        self.dtype = dtype
        self.values: NDArray[Any] = np.zeros(n, dtype=pl.Series([], dtype=dtype).to_physical().to_numpy().dtype)
        self.null: Bools = np.zeros(n, dtype=bool)

    def fill(self, place: Ints, column: pl.Series) -> None:
        numbers = column.to_physical()
        if numbers.null_count():
            self.null[place] = numbers.is_null().to_numpy()
            numbers = numbers.fill_null(0)
        self.values[place] = numbers.to_numpy()

    def series(self, there: Bools) -> pl.Series:
        column, valid = pl.Series(self.values).cast(self.dtype), there & ~self.null
        return column if valid.all() else pl.select(pl.when(pl.Series(valid)).then(column)).to_series()


class _Gathered:
    """A column of any type: its pieces are put in order at the end."""

    def __init__(self, dtype: pl.DataType, n: int) -> None:
        self.dtype, self.n = dtype, n
        self.pieces: list[tuple[Ints, pl.Series]] = []

    def fill(self, place: Ints, column: pl.Series) -> None:
        self.pieces.append((place, column.alias("")))

    def series(self, there: Bools) -> pl.Series:
        if not there.any():
            return pl.Series([None] * self.n, dtype=self.dtype)
        place = np.concatenate([place for place, _ in self.pieces])
        index = np.full(self.n, NOT_FOUND, dtype=np.int64)
        index[place] = np.arange(len(place))
        position = pl.Series(index)
        return pl.concat([column for _, column in self.pieces]).gather(position.set(position < 0, None))


def _has_width(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_integer() or isinstance(dtype, pl.Date | pl.Datetime)
