"""Why values differ: a cause is a hypothesis, and holds where recomputing under it gives the value that was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.online.expiry import expiries
from headrace.platform.gold import Gold
from headrace.platform.lookup import TIME
from headrace.platform.past_definitions import view_as_of
from headrace.platform.verify_recomputing import steps_as_published, values_of
from headrace.platform.verify_values import NOTHING, Codes, Comparer, Points, Values
from headrace.timeline.packed import NOT_FOUND

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.platform.verify_online import OnlineRecords
    from headrace.registry.base import Publication
    from headrace.timeline.arrays import Ints

LATE_ROW, VERSION, TTL, NOT_MATERIALIZED, UNEXPLAINED = range(5)
CAUSES: Final = ("late row", "version", "ttl", "not yet materialized", "unexplained")
"""The names of the causes, in the order in which they are tried."""
_Hypothesis = tuple[int, Callable[[Points], Values | None]]


@dataclass(frozen=True)
class Causes:
    """What is known of a view's offline and online state, and so why it may differ from recomputed values.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        What is read offline.
    entities : frame
        The sampled entities.
    records : OnlineRecords or None
        What is read online.
    comparer : Comparer
        Says whether two values agree.
    """

    context: Context
    gold: Gold
    entities: pl.DataFrame
    records: OnlineRecords | None
    comparer: Comparer

    def of_offline(self, found: Values, points: Points) -> Codes:
        """The cause for each point and feature, if the value differs at all.

        A late row: rows came to silver after a part of gold was computed, which were known before.
        """
        return self._first_that_holds(found, points, [(LATE_ROW, self._as_published)])

    def of_online(self, found: Values, points: Points) -> Codes:
        """The cause for each point and feature, if the value differs at all."""
        as_head = NOT_MATERIALIZED if self._is_behind else VERSION
        hypotheses: list[_Hypothesis] = [
            (LATE_ROW, self._as_published),
            (as_head, self._as_head),
            (TTL, self._expired),
            (TTL, self._aged),
        ]
        return self._first_that_holds(found, points, sorted(hypotheses, key=lambda each: each[0]))

    def _first_that_holds(self, found: Values, points: Points, hypotheses: Sequence[_Hypothesis]) -> Codes:
        causes = np.full(found.codes.shape, UNEXPLAINED, dtype=np.uint8)
        for cause, expected in hypotheses:
            still = causes == UNEXPLAINED
            values = expected(points) if still.any() else None
            if values is not None:
                causes[still & ~self.comparer.differs(found, values, points)] = cause
        return causes

    def _as_published(self, points: Points) -> Values:
        """Values from the silver that each part of gold was computed from."""
        return values_of(self.gold.view, self._published_steps, points)

    def _as_head(self, points: Points) -> Values | None:
        """Values of the publication that the online store has, where that is another than is read offline."""
        head_gold = self._head_gold
        if head_gold is None or self._is_read_offline:
            return None
        return _aligned(self.gold.view, values_of(head_gold.view, self._head_steps, points))

    def _aged(self, points: Points) -> Values | None:
        """Values under the ttl that the online store knows, where the view has another by now."""
        ttl = None if self.records is None else self.records.head.layout.ttl_us
        if self.records is None or ttl == self.gold.view.ttl_us:
            return None
        return values_of(replace(self.gold.view, ttl=ttl), self._published_steps, points)

    def _expired(self, points: Points) -> Values | None:
        """No value where a record has expired, or was left out or removed because of that."""
        if self.records is None:
            return None
        ends, missing = self.records.expires_at(), self.records.missing()
        by_header = (ends > 0)[points.entity] & (points.time >= ends[points.entity])
        gone = np.zeros(len(missing), dtype=bool)
        if missing.any():
            due = self._due()
            gone = missing & (due > 0) & (due <= self.context.clock())
        codes = np.where(by_header | gone[points.entity], NOT_FOUND, NOTHING).astype(np.uint8)
        features = self.gold.view.features
        nulls = pl.DataFrame({name: pl.Series([None] * len(points), dtype=pl.Null) for name in features})
        kept = {name: self._published_steps.schema[name] for name in features}
        return Values(nulls.cast(kept), np.repeat(codes[:, None], len(features), axis=1))  # type: ignore[arg-type]

    def _due(self) -> Ints:
        """From when on each entity's record may be gone, in microseconds; 0 for never, and without a step.

        A record lives so much longer as its publication came after its frontier.
        """
        head_gold, keys = self._head_gold, self.entities.columns
        due = np.zeros(max(len(self.entities), 1), dtype=np.int64)
        ends = None if head_gold is None else expiries(head_gold.view, self._head_steps)
        if head_gold is None or ends is None:
            return due
        mine = [p for p in self._publications if p.fingerprint == head_gold.fingerprint]
        ends = ends + min(max(0, p.published_at - p.frontier) for p in mine)
        steps = self._head_steps.select(*keys, TIME).with_columns(pl.Series("_hr_ends", ends)).sort(TIME)
        if not keys:
            due[0] = steps["_hr_ends"][-1] if len(steps) else 0
            return due
        last = steps.group_by(keys).agg(pl.col("_hr_ends").last())
        numbered = self.entities.with_row_index("_hr_entity").join(last, on=keys)
        due[numbered["_hr_entity"].to_numpy()] = numbered["_hr_ends"].to_numpy()
        return due

    @cached_property
    def _published_steps(self) -> pl.DataFrame:
        return steps_as_published(self.context, self.gold, self.entities)

    @cached_property
    def _head_steps(self) -> pl.DataFrame:
        if self._head_gold is None or self._is_read_offline:
            return self._published_steps
        return steps_as_published(self.context, self._head_gold, self.entities)

    @cached_property
    def _head_gold(self) -> Gold | None:
        """The gold that the online store was loaded from, under the ttl of then; None if it is not known any more."""
        if self.records is None:
            return None
        head = self.records.head
        wanted = (head.fingerprint, *head.stamp)
        named = [p for p in self._publications if (p.fingerprint, p.generation, p.table_version) == wanted]
        if not named:
            return None
        view = view_as_of(self.context, self.gold.view, head.fingerprint)
        view = replace(view, ttl=head.layout.ttl_us)
        return Gold.unpublished(self.context.lake, view).published_as(named[-1])

    @cached_property
    def _publications(self) -> Sequence[Publication]:
        return self.context.registry.publications(self.gold.view.name)

    @cached_property
    def _served(self) -> Publication | None:
        return self.context.registry.serving().get(self.gold.view.name)

    @property
    def _is_read_offline(self) -> bool:
        """Whether the online store has what is read offline."""
        mine = self.gold.publication
        if self.records is None or mine is None:
            return False
        head = self.records.head
        return (head.fingerprint, *head.stamp) == (mine.fingerprint, mine.generation, mine.table_version)

    @property
    def _is_behind(self) -> bool:
        """Whether the online store was written last before what is served was published.

        Else somebody has written it since: with another publication.
        """
        if self.records is None or self._served is None:
            return False
        head, served = self.records.head, self._served
        return head.fingerprint == served.fingerprint and head.token < served.token


def _aligned(view: FeatureView, values: Values) -> Values:
    """Values of another definition in the features of this one; nothing where that had no such feature."""
    names = values.frame.columns
    codes = np.full((len(values.codes), len(view.features)), NOTHING, dtype=np.uint8)
    columns = []
    for place, name in enumerate(view.features):
        if name in names:
            codes[:, place] = values.codes[:, names.index(name)]
            columns.append(values.frame[name])
        else:
            columns.append(pl.Series(name, [None] * len(codes), dtype=pl.Null))
    return Values(pl.DataFrame(columns), codes)
