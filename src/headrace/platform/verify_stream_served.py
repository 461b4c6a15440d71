"""What is served of sampled entities from a stream, beside what silver gives then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.engines.polars_types import polars_schema
from headrace.online.base import stamp_of
from headrace.platform.lookup import TIME
from headrace.platform.verify_online import OnlineRecords, online_records
from headrace.platform.verify_recomputing import values_of
from headrace.platform.verify_sizes import Sizes
from headrace.platform.verify_stream_lane import streamed_lane
from headrace.platform.verify_stream_report import FOUND, KIND, SERVED, WANTED
from headrace.platform.verify_stream_sets import RowSets
from headrace.platform.verify_stream_workers import owners
from headrace.platform.verify_values import Comparer, Points, Values
from headrace.quality.base import UTC

if TYPE_CHECKING:
    from headrace.platform.verify_stream_lane import Streamed
    from headrace.platform.verify_stream_rows import OtherRows
    from headrace.timeline.arrays import Ints


_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Served:
    """Entities of which what is served is not what silver gives.

    Parameters
    ----------
    points : Points
        They, and when.
    found, wanted : Values
        What is served, and what silver gives.
    comparer : Comparer
        Says where they differ.
    """

    points: Points
    found: Values
    wanted: Values
    comparer: Comparer

    def take(self, place: Ints) -> Served:
        """Some of them."""
        points = self.points.take(place)
        entities = points.entities[pl.Series(points.entity)] if points.entities.columns else points.entities
        own = Points(entities, np.arange(len(points)) if entities.columns else points.entity, points.time)
        return Served(own, self.found.take(place), self.wanted.take(place), self.comparer)

    def differences(self) -> pl.DataFrame:
        """As differences of steps are written down; each value as it is read."""
        points, names = self.points, list(self.comparer.view.features)
        keys = points.entities[pl.Series(points.entity)] if points.entities.columns else pl.DataFrame()
        said = [
            pl.DataFrame({name: _texts(values, place, len(points)) for place, name in enumerate(names)})
            for values in (self.found, self.wanted)
        ]
        columns = [pl.Series(TIME, points.time, dtype=pl.Int64).cast(UTC), pl.Series(KIND, [SERVED] * len(points))]
        structs = [frame.to_struct(name) for frame, name in zip(said, (FOUND, WANTED), strict=True)]
        return pl.DataFrame([*keys.get_columns(), *columns, *structs])


def served(sets: RowSets, count: int, seed: int) -> tuple[int, Served, RowSets]:
    """Of how many entities was compared what is served, where it differs, and the rows as of then.

    Parameters
    ----------
    sets : RowSets
        Which rows silver has, and the stream may have had.
    count : int
        Of how many entities, at most.
    seed : int
        Chooses them.
    """
    entities = _sampled(sets.lane, sets.rows, count, seed)
    sets, records, place, instants = _read(sets, entities)
    lane, rows = sets.lane, sets.rows
    points = Points(entities, place, instants)
    comparer = Comparer(lane.view, Sizes(rows, entities))
    wanted = values_of(lane.view, rows.steps(entities), points)
    found = wanted if records is None else records.values(lane.view, points)
    differs = np.flatnonzero(comparer.differs(found, wanted, points).any(axis=1))
    return len(place), Served(points.take(differs), found.take(differs), wanted.take(differs), comparer), sets


def _read(sets: RowSets, entities: pl.DataFrame) -> tuple[RowSets, OnlineRecords | None, Ints, Ints]:
    """Records, which of them are as of their worker's instant, and that: later ones may leave out what held then.

    A running stream writes on: then what it says of itself is asked again, right before the records are.
    """
    for _ in range(_ATTEMPTS):
        lane = streamed_lane(sets.context, sets.lane.view)
        if isinstance(lane, str):
            break
        records = online_records(sets.context, lane.view, entities)
        if records is None:
            break
        who = owners(sets.context, lane.view, len(lane.reached), len(lane.positions), entities)
        _, instants, last = (np.array(each, dtype=np.int64)[who] for each in zip(*lane.reached, strict=True))
        epochs = np.array([-1 if each is None else stamp_of(each).epoch for each in records.records], dtype=np.int64)
        place = np.flatnonzero(epochs <= last)
        if 2 * len(place) >= len(epochs):
            until = max(each.ahead for each in lane.reached)
            return RowSets.of(sets.context, lane, until), records, place, instants[place]
    return sets, None, np.arange(0), np.arange(0)


def _sampled(lane: Streamed, rows: OtherRows, count: int, seed: int) -> pl.DataFrame:
    """Some of the entities that have a row in silver, as tables hold them."""
    keys = list(lane.view.entity_keys)
    if not keys:
        return pl.DataFrame()
    schema = polars_schema(dict(zip(keys, lane.head.stored_keys, strict=True)))
    found = rows.entities(pl.Schema(schema)).sort(keys)
    chosen = np.random.default_rng(seed).permutation(len(found))[:count]
    return found[pl.Series(np.sort(chosen))]


def _texts(values: Values, feature: int, points: int) -> list[str]:
    return [str(values.reading(point, feature)) for point in range(points)]
