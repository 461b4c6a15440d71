"""Why a served value is not the truth: a cause is named where computing under it gives just what was served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.definitions.views import Selection
from headrace.definitions.windows import Lifetime
from headrace.errors import LakeError, VersionGoneError
from headrace.platform.gold import silver_table
from headrace.platform.lookup import TIME, steps_at
from headrace.platform.reading import judged, step_columns
from headrace.platform.served_log_frames import STALE
from headrace.platform.verify_recomputing import Rows, steps_as_published
from headrace.platform.verify_served_clock import OFFSET
from headrace.platform.verify_served_report import (
    DELAY,
    DROPPED_UPDATE,
    FAULT,
    LATE_ROW,
    SKEWED_CLOCK,
    STALE_RECORD,
    TTL,
    WRONG_VERSION,
)  # fmt: skip
from headrace.platform.verify_served_rows import AT_US, EVENT_TIME, FRONTIER, ServedRows
from headrace.platform.verify_values import Comparer, Points, Values
from headrace.timeline.packed import INCOMPLETE, OUTSIDE_MAX_AGE, PRESENT
from headrace.timeline.packed import STALE as STALE_STATUS
from headrace.types import FOREVER, SECOND

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.platform.verify_served_versions import Versions
    from headrace.registry.base import Publication
    from headrace.timeline.arrays import Bools, Ints

Cells = NDArray[np.bool_]
Causes = NDArray[np.uint8]
_GRACE_US: Final = 60 * SECOND
"""So long after a publication the store may still be written."""
_STEPS_BACK: Final = 64
_OTHERS: Final = 5
"""So many other publications are tried."""
WHY: Final = {
    LATE_ROW: "as published then; rows came to silver later that count before the request",
    DELAY: "as published then; the rows that make the difference were not yet in what was published",
    DROPPED_UPDATE: "an earlier step of the entity: the update in what was published never reached its record",
    STALE_RECORD: "an older state than the one in force",
    WRONG_VERSION: "what another version says than the one in force",
    TTL: "the same row judged by another ttl than the view's",
    SKEWED_CLOCK: "right for the time that the worker's clock told, which was not the time",
    FAULT: "nothing that was published or can be computed says so",
}


@dataclass(frozen=True)
class Group:
    """Differing rows that were read from one publication while one was in force.

    Parameters
    ----------
    context : Context
        The project.
    rows : ServedRows
        They.
    truth : Values
        What should have been served.
    gold : Gold
        What that is read from.
    versions : Versions
        What was published.
    logged, force : Publication or None
        What the answers say that they were read from, and what was in force.
    is_streamed : bool
        Whether the view is written by a stream.
    last_right : int64 array
        For each row, when an earlier answer of its entity was right, in microseconds; 0 where none was.
    comparer : Comparer
        Says where values differ.
    """

    context: Context
    rows: ServedRows
    truth: Values
    gold: Gold
    versions: Versions
    logged: Publication | None
    force: Publication | None
    is_streamed: bool
    last_right: Ints
    comparer: Comparer

    def causes(self) -> Causes:
        """The cause for each row and feature, if it differs at all."""
        found = np.full(self.rows.found.codes.shape, FAULT, dtype=np.uint8)
        tried: list[Callable[[], tuple[Cells, Causes | int] | None]] = [
            self._skewed, self._as_logged, self._by_ttl, self._as_older, self._earlier, self._as_other,
        ]  # fmt: skip
        for hypothesis in tried:
            open_cells = found == FAULT
            told = hypothesis() if open_cells.any() else None
            if told is not None:
                holds, cause = told
                found = np.where(open_cells & holds, cause, found).astype(np.uint8)
        return found

    def _skewed(self) -> tuple[Cells, int] | None:
        """The clock was wrong, and for what it told the value is right: by what holds now, or was published then."""
        skewed = self.rows.told[OFFSET].to_numpy() != 0
        if not skewed.any():
            return None
        at = self._by_own_clock
        holds = self._holds(values_by(self.rows.chosen, self._true_steps, at, at.time), at)
        if self._logged_steps is not None:
            holds |= self._holds(values_by(self.rows.chosen, self._logged_steps, at, at.time), at)
        holds |= self._holds(values_by(self.rows.chosen, self._true_steps, self.rows.points, at.time), at)
        return (holds | self._before_what_is_kept()) & skewed[:, None], SKEWED_CLOCK

    def _before_what_is_kept(self) -> Cells:
        """No answer, as the worker's clock was so far behind that records did not go back to what it told."""
        reached = self.rows.told[FRONTIER].dt.epoch("us").fill_null(0).to_numpy()
        is_early = self.rows.told[AT_US].to_numpy() < reached
        return np.asarray((self.rows.found.codes == INCOMPLETE) & is_early[:, None])

    def _as_logged(self) -> tuple[Cells, Causes | int] | None:
        """What the publication says that the answer was read from: so the store and its reader did right."""
        if self._logged_steps is None or self.logged is None:
            return None
        points = self.rows.points
        holds = self._holds(values_by(self.rows.chosen, self._logged_steps, points, points.time), points)
        if (other := self._is_out_of_force()) is not None:
            return holds, other
        known = self._recomputed(self.logged.frontier)
        delayed = self._holds(values_by(self.rows.chosen, known, points, points.time), points)
        return holds, np.where(delayed, DELAY, LATE_ROW).astype(np.uint8)

    def _is_out_of_force(self) -> int | None:
        """What it is called where the answers were read from something else than what was in force."""
        logged, force = self.logged, self.force
        if logged is None or force is None or logged.number == force.number:
            return None
        if logged.fingerprint != force.fingerprint or logged.number > force.number:
            return WRONG_VERSION
        soon = (self.rows.points.time - force.published_at).max() <= _GRACE_US
        return DELAY if soon else STALE_RECORD

    def _by_ttl(self) -> tuple[Cells, int] | None:
        """The right row, taken to be too old or not by another ttl."""
        view, points, found = self.rows.chosen.view, self.rows.points, self.rows.found
        ages = np.array([view.features[name].ages for name in self.rows.chosen.feature_names])
        unaged = self._bare(replace(self.rows.chosen, view=replace(view, ttl=None)))
        kept = self._holds(unaged, points) & (self.truth.codes == OUTSIDE_MAX_AGE)
        step, there = steps_at(self._published_steps, points.question, ["event_time"])
        same = there & (step["event_time"].eq_missing(self.rows.told[EVENT_TIME])).to_numpy()
        hidden = (found.codes == OUTSIDE_MAX_AGE) & (self.truth.codes != OUTSIDE_MAX_AGE) & same[:, None]
        return (kept | hidden) & ages[None, :], TTL

    def _bare(self, chosen: Selection) -> Values:
        return values_by(chosen, self._published_steps, self.rows.points, self.rows.points.time)

    def _earlier(self) -> tuple[Cells, Causes]:
        """An earlier step of the entity, though a later one could be read."""
        points, time = self.rows.points, self.rows.points.time.copy()
        shape = self.rows.found.codes.shape
        holds, missed = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64)
        left = np.arange(len(points))
        for _ in range(_STEPS_BACK):
            asked = Points(points.entities, points.entity[left], time[left])
            steps, there = steps_at(self._published_steps, asked.question, [TIME])
            left = left[there]
            if not len(left):
                break
            began = steps[TIME].dt.epoch("us").to_numpy()[there]
            time[left] = began - 1
            before = Points(points.entities, points.entity[left], time[left])
            values = values_by(self.rows.chosen, self._published_steps, before, points.time[left])
            fits = ~self.comparer.differs(self._found.take(left), values, before) & ~holds[left]
            missed[left] = np.where(fits, began[:, None], missed[left])
            holds[left] |= fits
            left = left[~holds[left].all(axis=1)]
        return self._called(*self._of_one_record(holds, missed))

    def _of_one_record(self, holds: Cells, missed: Ints) -> tuple[Cells, Ints]:
        """The same for whole rows: a record is of one state, that of its oldest value.

        A window moves on in an old record too, and what it holds then is no step of the truth; so it is judged by what
        the record's other features tell.
        """
        features = self.rows.chosen.view.features
        lasting = np.array([isinstance(features[name].window, Lifetime) for name in self.rows.chosen.feature_names])
        proven = holds & lasting[None, :] & self.comparer.differs(self._found, self.truth, self.rows.points)
        whole = proven.any(axis=1)
        oldest = np.where(proven, missed, FOREVER).min(axis=1)
        holds = np.where(whole[:, None], holds | ~lasting[None, :], holds)
        return holds, np.where(whole[:, None], oldest[:, None], missed)

    def _called(self, holds: Cells, missed: Ints) -> tuple[Cells, Causes]:
        """What an earlier step is a sign of, by when the first step began that was not served."""
        seen = missed <= self.last_right[:, None]  # then an earlier answer had it already
        named = np.where(self._is_old | seen, STALE_RECORD, DROPPED_UPDATE)
        if self.is_streamed:
            reached = self.rows.told[FRONTIER].dt.epoch("us").fill_null(0).to_numpy()[:, None]
            named = np.where((named == DROPPED_UPDATE) & (missed >= reached), DELAY, named)
        return holds, named.astype(np.uint8)

    @property
    def _is_old(self) -> Cells:
        """Where an answer says itself that it is of an older state."""
        stale = self.rows.told[STALE].fill_null(value=False).to_numpy()[:, None]
        return np.asarray(stale | (self.rows.found.codes == STALE_STATUS) | (self._is_out_of_force() == STALE_RECORD))

    def _as_older(self) -> tuple[Cells, Causes] | None:
        """What an older publication of the definition says: the record is of that one, whatever the head says."""
        if self._logged_steps is None or self.logged is None:
            return None
        points, mine = self.rows.points, self.logged
        holds = np.zeros(self.rows.found.codes.shape, dtype=bool)
        named = np.full(holds.shape, DROPPED_UPDATE, dtype=np.uint8)
        next_at = mine.published_at
        own = [each for each in self.versions.all if each.fingerprint == mine.fingerprint and each.number < mine.number]
        for older in own[: -_OTHERS - 1 : -1]:
            steps = self._steps_of(older)
            if steps is not None:
                fits = self._holds(values_by(self.rows.chosen, steps, points, points.time), points) & ~holds
                old = self._is_old | (self.last_right >= next_at)[:, None]  # an earlier answer had the update
                named = np.where(fits & old, STALE_RECORD, named).astype(np.uint8)
                holds |= fits
            next_at = older.published_at
        return holds, named

    def _as_other(self) -> tuple[Cells, int] | None:
        """What another publication says."""
        points, holds = self.rows.points, np.zeros(self.rows.found.codes.shape, dtype=bool)
        named = {each.number for each in (self.logged, self.force) if each is not None}
        for other in [each for each in reversed(self.versions.all) if each.number not in named][:_OTHERS]:
            steps = self._steps_of(other)
            if steps is not None and set(step_columns(self.rows.chosen)) <= set(steps.columns):
                holds |= self._holds(values_by(self.rows.chosen, steps, points, points.time), points)
        return holds, WRONG_VERSION

    def _holds(self, values: Values, points: Points) -> Cells:
        return np.asarray(~self.comparer.differs(self._found, values, points))

    @cached_property
    def _found(self) -> Values:
        """What was served; a value of a record that was read earlier is a value."""
        found = self.rows.found
        return replace(found, codes=np.where(found.codes == STALE_STATUS, PRESENT, found.codes).astype(np.uint8))

    @cached_property
    def _by_own_clock(self) -> Points:
        points = self.rows.points
        return Points(points.entities, points.entity, self.rows.told[AT_US].to_numpy())

    @cached_property
    def _published_steps(self) -> pl.DataFrame:
        """What could be read: of the publication in force; for a stream all that silver has."""
        return self._true_steps if self.is_streamed or self._logged_steps is None else self._logged_steps

    @cached_property
    def _logged_steps(self) -> pl.DataFrame | None:
        return None if self.is_streamed or self.logged is None else self._steps_of(self.logged)

    @cached_property
    def _true_steps(self) -> pl.DataFrame:
        return self._recomputed(self.versions.reach)

    def _steps_of(self, publication: Publication) -> pl.DataFrame | None:
        gold = self.versions.gold(publication)
        names = self.rows.chosen.feature_names
        if gold is None or not set(names) <= set(gold.view.features):
            return None
        try:
            return steps_as_published(self.context, gold, self.rows.points.entities)
        except (VersionGoneError, LakeError):
            return None

    def _recomputed(self, until: int) -> pl.DataFrame:
        """The steps of all rows in silver that were known before an instant."""
        return source_rows(self.context, self.gold, until).steps(self.rows.points.entities)


def source_rows(context: Context, gold: Gold, until: int) -> Rows:
    """The rows that silver has now of a view's source, of those known before an instant."""
    return Rows(context, gold.view, silver_table(context.lake, gold.view.source).version(), until)


def values_by(chosen: Selection, steps: pl.DataFrame, points: Points, judged_at: Ints) -> Values:
    """The values of the chosen features at points, by steps, with the ttl as of other times."""
    found, there = steps_at(steps, points.question, step_columns(chosen))
    complete: Bools = np.ones(len(points), dtype=bool)
    return Values.judged(chosen.feature_names, judged(chosen, found, there, judged_at, complete))
