"""Values of features at points of time, from wherever they come, and when two of them agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.platform.lookup import Question
from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    from headrace.definitions.aggregations import Aggregation
    from headrace.definitions.views import FeatureView
    from headrace.platform.verify_sizes import Sizes
    from headrace.timeline.arrays import Bools, Ints

DAMAGED: Final = len(STATUSES)
"""The status of a value whose record can't be read."""
NOTHING: Final = 255
"""A status that no value has: where a hypothesis says nothing."""
MERGED: Final = ("sum", "mean", "variance", "stddev")
"""Functions whose floats depend on the order of merging in their last digits."""
_RELATIVE: Final = 1e-9

Codes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Points:
    """For whom and when values are compared.

    Parameters
    ----------
    entities : frame
        The keys of the sampled entities; no columns for a global view.
    entity : int64 array
        For each point, its entity's row.
    time : int64 array
        Its time, in microseconds.
    """

    entities: pl.DataFrame
    entity: Ints
    time: Ints

    def __len__(self) -> int:
        """How many points there are."""
        return len(self.time)

    @property
    def question(self) -> Question:
        """The points as a question to a table of steps."""
        keys = self.entities[pl.Series(self.entity)] if self.entities.columns else self.entities
        return Question(keys, self.time)

    def take(self, place: Ints) -> Points:
        """Some of the points."""
        return Points(self.entities, self.entity[place], self.time[place])


class Reading(NamedTuple):
    """One value as it was read.

    Parameters
    ----------
    value : plain data
        None where there is none.
    status : str
        Why.
    """

    value: Any
    status: str

    def __str__(self) -> str:
        """The value, or why there is none."""
        if self.status != "PRESENT":
            return self.status
        return self.value.isoformat() if isinstance(self.value, date) else repr(self.value)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of some features at some points.

    Parameters
    ----------
    frame : frame
        A column a feature, a row a point.
    codes : uint8 array, shape (n_points, n_features)
        The statuses: places in `headrace.timeline.packed.STATUSES`, `DAMAGED` or `NOTHING`.
    """

    frame: pl.DataFrame
    codes: Codes

    @classmethod
    def judged(cls, features: Sequence[str], judged: tuple[pl.DataFrame, pl.DataFrame]) -> Values:
        """What `headrace.platform.reading.judged` says."""
        values, statuses = judged
        codes = [column.to_physical().to_numpy() for column in statuses.get_columns()]
        named = [column.alias(name) for name, column in zip(features, values.get_columns(), strict=True)]
        return cls(pl.DataFrame(named), np.column_stack(codes).astype(np.uint8))

    def take(self, place: Ints) -> Values:
        """Those of some of the points."""
        return Values(self.frame[pl.Series(place)], self.codes[place])

    def reading(self, point: int, feature: int) -> Reading:
        """One value, for people."""
        code, value = int(self.codes[point, feature]), self.frame.to_series(feature)[point]
        plain = value.to_list() if isinstance(value, pl.Series) else value
        return Reading(plain, STATUSES[code] if code < DAMAGED else "DAMAGED")


@dataclass(frozen=True, slots=True)
class Comparer:
    """Says where values differ.

    Everything is compared exactly, statuses too, but floats that were merged: those agree within 1e-9 of themselves,
    or within the error that a view's rows allow.

    Parameters
    ----------
    view : FeatureView
        Whose features they are.
    sizes : Sizes
        How large the values of the rows behind a float are.
    """

    view: FeatureView
    sizes: Sizes

    def differs(self, found: Values, wanted: Values, points: Points) -> NDArray[np.bool_]:
        """For each point (row) and feature (column), whether two values or their statuses differ."""
        features = self.view.features.items()
        columns = [self._differs(name, made, found, wanted, points) for name, made in features]
        return np.asarray(np.column_stack(columns) | (found.codes != wanted.codes))

    def _differs(self, name: str, made: Aggregation, found: Values, wanted: Values, points: Points) -> Bools:
        one, other = found.frame[name], wanted.frame[name]
        differs: Bools = one.cast(other.dtype).ne_missing(other).to_numpy().copy()
        if made.function in MERGED and other.dtype.is_float() and differs.any():
            place = np.flatnonzero(differs)
            a, b = (pl.Series(each.gather(place)).to_numpy().astype(np.float64) for each in (one, other))
            differs[place] = self._apart(name, made, a, b, points.take(place))
        return differs

    def _apart(
        self, name: str, made: Aggregation, a: NDArray[np.float64], b: NDArray[np.float64], points: Points
    ) -> Bools:
        """Whether floats are further apart than merging them in another order explains; nulls are NaN here."""
        with np.errstate(over="ignore", invalid="ignore"):
            apart: Bools = ~(np.abs(a - b) <= _RELATIVE * np.maximum(np.abs(a), np.abs(b)))
            far = np.flatnonzero(apart & ~np.isnan(a) & ~np.isnan(b))
            if len(far):
                apart[far] = np.abs(a - b)[far] > self.sizes.error_allowed(name, made, b[far], points.take(far))
        return apart
