"""Why a stream and the batch lane differ: a cause holds where recomputing under it gives what the stream said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.online.expiry import expiries
from headrace.platform.lookup import TIME
from headrace.platform.verify_recomputing import values_of
from headrace.platform.verify_stream_behind import is_behind
from headrace.platform.verify_stream_comparing import differing
from headrace.platform.verify_stream_report import (
    CAUSE,
    DOUBLED,
    FOUND,
    KIND,
    MISSING,
    NOT_GOLD,
    UNEXPLAINED,
)  # fmt: skip
from headrace.timeline.packed import NOT_FOUND
from headrace.types import BEGINNING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headrace.platform.verify_stream_rows import OtherRows
    from headrace.platform.verify_stream_served import Served
    from headrace.platform.verify_stream_sets import RowSets

BEHIND: Final = "a row was known before the stream's cut when it came"
EXPIRED: Final = "the record expired"
_ENTITIES_AT_ONCE: Final = 5_000
_PLACE: Final = "_hr_place"
_Holds = Callable[["OtherRows", "NDArray[np.int64]"], "NDArray[np.bool_]"]


@dataclass
class Explaining:
    """Finds the cause of each difference.

    Parameters
    ----------
    sets : RowSets
        Which rows the stream may have had.
    """

    sets: RowSets

    def steps(self, different: pl.DataFrame) -> pl.DataFrame:
        """Differences of steps, with their causes."""
        keys = list(self.sets.lane.view.entity_keys)
        if different.is_empty() or not keys:
            return self._steps(different, different.select(keys).unique())
        entities = different.select(keys).unique(maintain_order=True)
        parts = [entities[at : at + _ENTITIES_AT_ONCE] for at in range(0, len(entities), _ENTITIES_AT_ONCE)]
        return pl.concat(self._steps(different.join(part, on=keys, how="semi"), part) for part in parts)

    def served(self, found: Served) -> pl.DataFrame:
        """Differences of what is served, with their causes."""
        frame = found.differences()
        if frame.is_empty():
            return frame.with_columns(pl.lit(UNEXPLAINED).alias(CAUSE))

        def holds(rows: OtherRows, place: NDArray[np.int64]) -> NDArray[np.bool_]:
            some = found.take(place)
            expected = values_of(self.sets.lane.view, rows.steps(some.points.entities), some.points)
            return np.asarray(~some.comparer.differs(some.found, expected, some.points).any(axis=1))

        causes = self._first_that_holds(len(frame), holds)
        gone = self._expired(found)
        causes = [EXPIRED if late and cause == UNEXPLAINED else cause for cause, late in zip(causes, gone, strict=True)]
        return frame.with_columns(pl.Series(CAUSE, causes, dtype=pl.String))

    def _steps(self, different: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
        once = (different[KIND] != DOUBLED).to_numpy()
        places = np.flatnonzero(once)
        pending = different[pl.Series(places)]

        def holds(rows: OtherRows, place: NDArray[np.int64]) -> NDArray[np.bool_]:
            return self._gives(rows.steps(entities), pending[pl.Series(place)])

        causes = self._first_that_holds(len(pending), holds)
        behind = [False] * len(causes)
        if UNEXPLAINED in causes:
            behind = is_behind(self.sets.lane, self.sets.rows, pending, entities)
        found = np.full(len(different), UNEXPLAINED, dtype=object)
        found[places] = [
            BEHIND if late and cause == UNEXPLAINED else cause for cause, late in zip(causes, behind, strict=True)
        ]
        return different.with_columns(pl.Series(CAUSE, found.tolist(), dtype=pl.String))

    def _first_that_holds(self, count: int, holds: _Holds) -> list[str]:
        causes = np.full(count, UNEXPLAINED, dtype=object)
        for cause in (NOT_GOLD, *self.sets.causes):
            place = np.flatnonzero(causes == UNEXPLAINED)
            rows = self.sets.rows if cause == NOT_GOLD else self.sets.under(cause) if len(place) else None
            if len(place) and rows is not None:
                causes[place[holds(rows, place)]] = cause
        return [str(cause) for cause in causes]

    def _gives(self, steps: pl.DataFrame, different: pl.DataFrame) -> NDArray[np.bool_]:
        """Whether some rows' steps are those of the stream."""
        view = self.sets.lane.view
        on = [*view.entity_keys, TIME]
        made = steps.select(*on, pl.struct("event_time", *view.features).alias("_hr_made"))
        made = made.cast({name: different.schema[name] for name in on})
        numbered = different.with_row_index(_PLACE).join(made, on=on, how="left", maintain_order="left")
        there = numbered["_hr_made"].is_not_null().to_numpy()
        wanted = (numbered[KIND] != MISSING).to_numpy()
        holds = ~there & ~wanted
        both = np.flatnonzero(there & wanted)
        if len(both):
            some = numbered[pl.Series(both)]
            holds[both] = ~differing(view, some, FOUND, "_hr_made", self.sets.rows)
        return np.asarray(holds)

    def _expired(self, found: Served) -> list[bool]:
        """Whether each record may be gone: nothing was left in it, a week before the cut or now."""
        view, now = self.sets.lane.view, max(self.sets.context.clock(), self.sets.lane.cut)
        steps = self.sets.rows.steps(found.points.entities)
        ends = expiries(view, steps)
        absent = (found.found.codes == NOT_FOUND).all(axis=1)
        if ends is None or not view.entity_keys:
            return [False] * len(absent)
        last = steps.select(list(view.entity_keys)).with_columns(pl.Series("_hr_ends", ends))
        last = last.group_by(list(view.entity_keys)).agg(pl.col("_hr_ends").max())
        mine = found.points.entities[pl.Series(found.points.entity)]
        due = mine.join(last, on=list(view.entity_keys), how="left", maintain_order="left")["_hr_ends"]
        return list(absent & (due.fill_null(BEGINNING).to_numpy() <= now) & due.is_not_null().to_numpy())
