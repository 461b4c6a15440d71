"""Values from scratch: steps that are computed in one go from silver, and share nothing with what is published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView, Selection
from headrace.engines.transforms import run_transform
from headrace.lake.reading import collect
from headrace.platform.gold import Gold, is_same_at, known_since, silver_table
from headrace.platform.lookup import TIME, steps_at
from headrace.platform.reading import judged, step_columns
from headrace.platform.verify_values import Values
from headrace.types import BEGINNING, FOREVER

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.verify_values import Points

_EARLY: Final = BEGINNING // 4
_LATE: Final = FOREVER // 4
_PLACE: Final = "_hr_place"


@dataclass(frozen=True)
class Rows:
    """The rows of a view's source that were known before an instant, as a version of silver has them.

    Parameters
    ----------
    context : Context
        The project.
    view : FeatureView
        The view.
    version : int
        That of silver.
    until : int
        The instant, in microseconds.
    """

    context: Context
    view: FeatureView
    version: int
    until: int

    def entities(self, schema: pl.Schema) -> pl.DataFrame:
        """The keys of every entity that has a row, in the types of `schema`; whether the view takes the row or not."""
        keys = self._keys(schema)
        if self.view.transform is None:
            return self._collected(self._scan.select(keys).drop_nulls().unique())
        return run_transform(self.view, self._all).select(keys).drop_nulls().unique()

    def steps(self, entities: pl.DataFrame) -> pl.DataFrame:
        """All steps of some entities, the scheduled ones too."""
        view = self.view
        found = self.context.engine.compute(view, self._rows(entities), None, _EARLY, _LATE).steps
        return found.join(entities, on=entities.columns, how="semi") if entities.columns else found

    def _rows(self, entities: pl.DataFrame) -> pl.DataFrame:
        """The entities' rows; all where a row may bear on an entity that it does not name."""
        view = self.view
        if view.mutable or not entities.columns:
            return self._all
        keys = self._keys(entities.schema)
        if view.transform is None:
            named = self._scan.with_columns(key.name.prefix(_PLACE) for key in keys)
            asked = entities.lazy().rename(lambda key: _PLACE + key)
            return self._collected(named.join(asked, on=asked.collect_schema().names(), how="semi"))
        made = run_transform(view, self._all.with_row_index(_PLACE)).select(_PLACE, *keys)
        places = made.join(entities, on=entities.columns, how="semi")[_PLACE].unique().sort()
        return self._all[places]

    def _keys(self, schema: pl.Schema) -> list[pl.Expr]:
        columns = self.view.key_columns
        return [pl.col(columns[key]).cast(dtype).alias(key) for key, dtype in schema.items()]

    @property
    def _scan(self) -> pl.LazyFrame:
        table = silver_table(self.context.lake, self.view.source)
        return table.scan(self.version).filter(pl.col("_hr_known").dt.epoch("us") < self.until)

    @cached_property
    def _all(self) -> pl.DataFrame:
        return self._collected(self._scan)

    def _collected(self, scan: pl.LazyFrame) -> pl.DataFrame:
        return collect(scan, silver_table(self.context.lake, self.view.source), self.version)


def values_of(view: FeatureView, steps: pl.DataFrame, points: Points) -> Values:
    """The values of a view's features at points, by its steps."""
    chosen = Selection(view)
    found, there = steps_at(steps, points.question, step_columns(chosen))
    complete = np.ones(len(points), dtype=bool)
    return Values.judged(chosen.feature_names, judged(chosen, found, there, points.time, complete))


def steps_as_published(context: Context, gold: Gold, entities: pl.DataFrame) -> pl.DataFrame:
    """The steps of some entities as a version of gold should have them, and those scheduled behind its frontier.

    Each part of the covered time is computed from the version of silver that it was computed from.
    """
    silver = silver_table(context.lake, gold.view.source)
    newest, commits = silver.version(), known_since(silver.commits())
    segments = gold.segments()
    base = Rows(context, gold.view, newest, segments[-1].until)
    computed: dict[int, pl.DataFrame] = {}
    parts, reached = [], _EARLY
    for segment in segments:
        version = newest if is_same_at(segment, newest, commits) else segment.silver_version
        if version not in computed:
            computed[version] = replace(base, version=version).steps(entities)
        if segment.since > reached:
            parts.append(_opening(computed[version], entities.columns, segment.since))
        until = _LATE if segment is segments[-1] else segment.until
        parts.append(_within(computed[version], segment.since, until))
        reached = segment.until
    return pl.concat(parts).sort([*entities.columns, TIME])


def _opening(steps: pl.DataFrame, keys: list[str], since: int) -> pl.DataFrame:
    """What holds of each entity right before an instant, as a step then."""
    before = _within(steps, _EARLY, since).sort([*keys, TIME])
    last = before.unique(keys, keep="last", maintain_order=True) if keys else before.tail(1)
    return last.with_columns(pl.lit(since - 1).cast(steps.schema[TIME]).alias(TIME))


def _within(steps: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
    return steps.filter(pl.col(TIME).dt.epoch("us").is_between(since, until, closed="left"))
