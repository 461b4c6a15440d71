"""Which entities and times are compared: random ones, and those at which something changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.lake.reading import collect
from headrace.platform.lookup import TIME
from headrace.platform.verify_values import Points

if TYPE_CHECKING:
    from collections.abc import Callable

    from headrace.platform.gold import Gold
    from headrace.platform.verify_recomputing import Rows
    from headrace.timeline.arrays import Ints
    from headrace.timeline.coverage import Coverage

SHARE_WITHOUT_STEPS: Final = 0.1
"""Of the entities, those that have rows in silver and no step in gold, as far as there are some."""
SHARE_ONLINE: Final = 1 / 3
"""Of the times, those that the online store answers for."""
_AROUND: Final = np.array([-1, 0, 1])
_EVENT_TIME: Final = "event_time"


def sampled_entities(gold: Gold, rows: Rows, count: int, random: np.random.Generator) -> pl.DataFrame:
    """Some entities at random.

    Parameters
    ----------
    gold : Gold
        The view's steps.
    rows : Rows
        The rows that they should have been made from.
    count : int
        How many at most.
    random : Generator
        Chooses them.

    Returns
    -------
    frame
        Their keys, as tables hold them; without columns for a global view.
    """
    keys = list(gold.view.entity_keys)
    if not keys:
        return pl.DataFrame()
    held = collect(gold.scan().select(keys).unique(), gold.table, gold.version, engine="streaming").sort(keys)
    without = rows.entities(held.schema).join(held, on=keys, how="anti").sort(keys)
    few = min(len(without), max(round(count * SHARE_WITHOUT_STEPS), count - len(held)))
    return pl.concat([_some(held, count - few, random), _some(without, few, random)])


def _some(frame: pl.DataFrame, count: int, random: np.random.Generator) -> pl.DataFrame:
    places = random.permutation(len(frame))[:count]
    return frame[pl.Series(np.sort(places))]


@dataclass(frozen=True, slots=True)
class Changes:
    """When something changes: instants of steps, and those at which a value has aged.

    Parameters
    ----------
    entity : int64 array
        Of whom.
    time : int64 array
        When, in microseconds.
    """

    entity: Ints
    time: Ints

    @classmethod
    def of(cls, gold: Gold, recomputed: pl.DataFrame, entities: pl.DataFrame) -> Changes:
        """Those of gold and those that were recomputed, of some entities."""
        keys = entities.columns
        scan = gold.scan().select(*keys, TIME, _EVENT_TIME)
        scan = scan.join(entities.lazy(), on=keys, how="semi") if keys else scan
        held = collect(scan, gold.table, gold.version)
        steps = pl.concat([held, recomputed.select(held.columns)]).unique()
        numbered = (
            steps.join(entities.with_row_index("_hr_entity"), on=keys)
            if keys
            else steps.with_columns(pl.lit(0).alias("_hr_entity"))
        )
        entity = numbered["_hr_entity"].cast(pl.Int64)
        found = pl.DataFrame([entity, numbered[TIME].dt.epoch("us").alias("at")])
        if gold.view.ttl_us is not None:
            aged = pl.DataFrame([entity, (numbered[_EVENT_TIME].dt.epoch("us") + gold.view.ttl_us).alias("at")])
            found = pl.concat([found, aged.drop_nulls()])
        found = found.unique().sort("_hr_entity", "at")
        return cls(found["_hr_entity"].to_numpy(), found["at"].to_numpy())

    def within(self, since: int, until: int) -> Changes:
        """Those in ``[since, until)``."""
        inside = (self.time >= since) & (self.time < until)
        return Changes(self.entity[inside], self.time[inside])

    def some(self, n_entities: int, count: int, random: np.random.Generator) -> Changes:
        """At most so many of each entity."""
        order = np.lexsort((random.random(len(self.entity)), self.entity))
        begins = np.searchsorted(self.entity, np.arange(n_entities))
        rank = np.arange(len(order)) - begins[self.entity[order]]
        chosen = order[rank < count]
        return Changes(self.entity[chosen], self.time[chosen])


@dataclass(frozen=True, slots=True)
class Sampling:
    """How times are chosen.

    Parameters
    ----------
    coverage : Coverage
        When gold answers.
    online_from : int or None
        From when on the online store answers, in microseconds; None where it is not asked.
    horizon : int
        Until when scheduled values are of interest.
    times : int
        How many for each entity.
    random : Generator
        Chooses them.
    """

    coverage: Coverage
    online_from: int | None
    horizon: int
    times: int
    random: np.random.Generator

    def points(self, entities: pl.DataFrame, changes: Changes) -> Points:
        """Points for all entities, each once: half of them at changes, or a microsecond before or after one."""
        n = len(entities) if entities.columns else 1
        online = 0 if self.online_from is None else round(self.times * SHARE_ONLINE)
        low, high = self.coverage.intervals[0][0], self.coverage.intervals[-1][1]
        parts = [self._part(n, changes.within(low, high), self.times - online, self._covered)]
        if self.online_from is not None:
            later = changes.within(self.online_from, int(changes.time.max(initial=self.horizon)) + 1)
            parts.append(self._part(n, later, online, self._online))
        both = np.unique(np.concatenate(parts), axis=0)
        return Points(entities, both[:, 0].copy(), both[:, 1].copy())

    def _part(self, n: int, changes: Changes, times: int, anytime: Callable[[int], Ints]) -> Ints:
        """Rows of entity and time."""
        chosen = changes.some(n, times // (2 * len(_AROUND)), self.random)
        around = (chosen.time[:, None] + _AROUND).ravel()
        near = np.column_stack([np.repeat(chosen.entity, len(_AROUND)), around])
        missing = times - np.bincount(near[:, 0], minlength=n)
        entity = np.repeat(np.arange(n), missing)
        return np.concatenate([near, np.column_stack([entity, anytime(len(entity))])])

    def _covered(self, count: int) -> Ints:
        """Times at random out of the coverage."""
        low, high = np.array(self.coverage.intervals, dtype=np.int64).T
        ends = np.cumsum(high - low)
        drawn = self.random.integers(0, ends[-1], count)
        place = np.searchsorted(ends, drawn, side="right")
        return np.asarray(high[place] - (ends[place] - drawn))

    def _online(self, count: int) -> Ints:
        return self.random.integers(self.online_from or 0, self.horizon, count)
