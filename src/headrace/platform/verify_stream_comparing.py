"""Two lanes' steps side by side: which are missing, extra, doubled or different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.platform.lookup import TIME
from headrace.platform.verify_sizes import Sizes
from headrace.platform.verify_stream_batch import BatchLane, Part
from headrace.platform.verify_stream_report import DIFFERENT, DOUBLED, EXTRA, FOUND, KIND, MISSING, WANTED
from headrace.platform.verify_values import Comparer, Points, Values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.platform.verify_stream_lane import Streamed
    from headrace.platform.verify_stream_rows import OtherRows

EVENT_TIME: Final = "event_time"


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison of all steps found.

    Parameters
    ----------
    compared, streamed, from_gold : int
        Steps that either lane has; those of the stream; those of the batch lane that were read of gold.
    publication : int or None
        The one that was read.
    different : frame
        Keys, time, `KIND`, and each lane's values as `FOUND` and `WANTED`.
    """

    compared: int
    streamed: int
    from_gold: int
    publication: int | None
    different: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Comparing:
    """Compares the lanes of a view, part of time after part.

    Parameters
    ----------
    context : Context
        The project.
    lane : Streamed
        What the stream wrote.
    gold : Gold
        What is published.
    rows : OtherRows
        What silver has.
    """

    context: Context
    lane: Streamed
    gold: Gold
    rows: OtherRows

    def run(self) -> Compared:
        """Compare all final steps."""
        batch = BatchLane(self.context, self.gold, self.rows.version)
        compared = streamed = from_gold = 0
        different = []
        for part in batch.parts(self.lane.since, self.lane.cut) if self.lane.since < self.lane.cut else ():
            found = self.lane.steps(part.since, part.until)
            wanted = found.clear() if part.steps is None else _without_openings(part, found, self._on)
            streamed += found.height
            from_gold += wanted.height if part.is_gold else 0
            differs = self._part(found, wanted)
            compared += found.height + differs.filter(pl.col(KIND) == MISSING).height
            different.append(differs)
        number = None if self.gold.publication is None else self.gold.publication.number
        whole = pl.concat(different, how="vertical_relaxed") if different else self._part(self.lane.empty(), None)
        return Compared(compared, streamed, from_gold, number if from_gold else None, whole)

    @property
    def _on(self) -> list[str]:
        return [*self.lane.view.entity_keys, TIME]

    def _part(self, found: pl.DataFrame, wanted: pl.DataFrame | None) -> pl.DataFrame:
        on, view = self._on, self.lane.view
        wanted = found.clear() if wanted is None else wanted
        one, other = (_structs(frame, view, name) for frame, name in ((found, FOUND), (wanted, WANTED)))
        other = other.cast({name: one.schema[name] for name in on})
        first = one.unique(on, keep="first", maintain_order=True)
        both = first.join(other, on=on, nulls_equal=True)
        differs = differing(view, both, FOUND, WANTED, self.rows)
        kinds = (
            (MISSING, other.join(first, on=on, how="anti", nulls_equal=True)),
            (EXTRA, first.join(other, on=on, how="anti", nulls_equal=True)),
            (DIFFERENT, both.filter(pl.Series(differs, dtype=pl.Boolean))),
            (DOUBLED, one.filter(~one.select(pl.struct(on).is_first_distinct()).to_series())),
        )
        named = [frame.with_columns(pl.lit(kind).alias(KIND)) for kind, frame in kinds]
        return pl.concat(named, how="diagonal_relaxed").select(*on, KIND, FOUND, WANTED)


def differing(view: FeatureView, both: pl.DataFrame, one: str, other: str, rows: OtherRows) -> NDArray[np.bool_]:
    """Of rows with two structs of values, where these differ: floats that were merged by more than that explains."""
    unlike = both[one].struct.unnest(), both[other].struct.unnest()
    names = [EVENT_TIME, *view.features]
    apart = np.zeros(len(both), dtype=bool)
    for name in names:
        a, b = (each[name] for each in unlike)
        apart |= a.cast(b.dtype).ne_missing(b).to_numpy()
    place = np.flatnonzero(apart)
    if len(place):
        some = [each[pl.Series(place)] for each in unlike]
        apart[place] = _apart(view, both[pl.Series(place)], some[0], some[1], rows)
    return apart


def _apart(
    view: FeatureView, both: pl.DataFrame, found: pl.DataFrame, wanted: pl.DataFrame, rows: OtherRows
) -> NDArray[np.bool_]:
    points = points_of(view, both)
    comparer = Comparer(view, Sizes(rows, points.entities))
    codes = np.zeros((len(both), len(view.features)), dtype=np.uint8)
    features = list(view.features)
    differs = comparer.differs(Values(found.select(features), codes), Values(wanted.select(features), codes), points)
    times = found[EVENT_TIME].cast(wanted[EVENT_TIME].dtype).ne_missing(wanted[EVENT_TIME]).to_numpy()
    return np.asarray(differs.any(axis=1) | times)


def points_of(view: FeatureView, steps: pl.DataFrame) -> Points:
    """The entities and times of steps."""
    keys, time = list(view.entity_keys), steps[TIME].dt.epoch("us").to_numpy()
    if not keys:
        return Points(pl.DataFrame(), np.zeros(len(steps), dtype=np.int64), time)
    entities = steps.select(keys).unique(maintain_order=True)
    numbered = steps.select(keys).join(entities.with_row_index("_hr_entity"), on=keys, maintain_order="left")
    return Points(entities, numbered["_hr_entity"].cast(pl.Int64).to_numpy(), time)


def _structs(steps: pl.DataFrame, view: FeatureView, name: str) -> pl.DataFrame:
    return steps.select(*view.entity_keys, TIME, pl.struct(EVENT_TIME, *view.features).alias(name))


def _without_openings(part: Part, found: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """The batch lane's steps without those that only say what held before gold began."""
    assert part.steps is not None
    if not part.opens:
        return part.steps
    begins = pl.col(TIME).dt.epoch("us") == part.since
    there = part.steps.filter(begins).join(found, on=on, how="semi")
    return pl.concat([there, part.steps.filter(~begins)])
