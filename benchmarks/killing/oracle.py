"""What each publication has to answer: computed from silver, as the publication's segments say, and not from gold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from benchmarks.killing.wholeness import Wholeness
from headrace.definitions.views import FeatureView
from headrace.platform.gold import Gold, Segment
from headrace.registry.base import Publication
from headrace.timeline.packed import INCOMPLETE, NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT

Key = tuple[Any, ...]
Values = tuple[tuple[int, Any], ...]
"""For each feature its status and its value."""
KEPT_BEFORE_US = 60_000_000
"""Online, a time so long before the frontier may be too early."""
_TOLERANCE = 1e-9
_REMEMBERED = 60


@dataclass(frozen=True, slots=True)
class Timeline:
    """The steps of one publication, scheduled ones too.

    Parameters
    ----------
    view : FeatureView
        The view.
    segments : list of Segment
        What was computed from what.
    times : mapping of key to list of int
        For each entity the times of its steps, in microseconds.
    rows : mapping of key to list of tuple
        The event time and the values from then on.
    """

    view: FeatureView
    segments: list[Segment]
    times: Mapping[Key, list[int]]
    rows: Mapping[Key, list[tuple[Any, ...]]]

    @property
    def frontier(self) -> int:
        """Through when it is computed."""
        return self.segments[-1].until

    def online(self, key: Key, at: int) -> Values:
        """What holds at a time."""
        place = bisect_right(self.times.get(key, []), at) - 1
        if place < 0:
            return ((NOT_FOUND, None),) * len(self.view.features)
        event_time, *values = self.rows[key][place]
        ttl = self.view.ttl_us
        is_old = ttl is not None and event_time is not None and at - event_time > ttl
        return tuple(
            (OUTSIDE_MAX_AGE, None) if is_old and feature.ages else (NULL_VALUE if value is None else PRESENT, value)
            for feature, value in zip(self.view.features.values(), values, strict=True)
        )

    def offline(self, key: Key, at: int) -> Values:
        """What a training set says of a time: nothing where nothing was computed."""
        if not any(segment.since <= at < segment.until for segment in self.segments):
            return ((INCOMPLETE, None),) * len(self.view.features)
        return self.online(key, at)

    def answers_online(self, found: Mapping[Key, Values], at: int) -> bool:
        """Whether this publication answers so; of times before what a record keeps nothing need be known."""
        is_early = at < self.frontier - KEPT_BEFORE_US
        return all(
            same(values, self.online(key, at)) or (is_early and all(status == INCOMPLETE for status, _ in values))
            for key, values in found.items()
        )

    def answers_offline(self, found: Mapping[tuple[Key, int], Values]) -> bool:
        """Whether this publication gives these values at these times."""
        return all(same(values, self.offline(key, at)) for (key, at), values in found.items())


class Oracle:
    """The timelines of a project's publications.

    Parameters
    ----------
    wholeness : Wholeness
        Of the project.
    """

    def __init__(self, wholeness: Wholeness) -> None:
        self._wholeness, self._context = wholeness, wholeness.platform.context
        self._timelines: dict[tuple[str, int], Timeline] = {}

    def timeline(self, publication: Publication) -> Timeline:
        """That of a publication; the same for those of the same content."""
        key = (publication.view, publication.content_of)
        if key not in self._timelines:
            view = self._wholeness.platform.definitions.view(publication.view)
            if len(self._timelines) >= _REMEMBERED:
                del self._timelines[next(iter(self._timelines))]
            gold = Gold.unpublished(self._context.lake, view).published_as(publication)
            self._timelines[key] = _timeline(view, gold.segments(), self._steps(view, gold.segments()))
        return self._timelines[key]

    def _steps(self, view: FeatureView, segments: list[Segment]) -> pl.DataFrame:
        time, steps, frontier = pl.col("valid_from").dt.epoch("us"), self._wholeness.steps, segments[-1].until
        computed = [steps(view, s.silver_version).filter(time >= s.since, time < s.until) for s in segments]
        scheduled = steps(view, segments[-1].silver_version, frontier).filter(time >= frontier)
        return pl.concat([*computed, scheduled])


def same(found: Values, wanted: Values) -> bool:
    """Whether statuses are equal, and values up to the order in which floats were added."""
    pairs = zip(found, wanted, strict=True)
    return all(one == other and _close(value, right) for (one, value), (other, right) in pairs)


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _TOLERANCE * max(abs(one), abs(other))
    return bool(one == other)


def _timeline(view: FeatureView, segments: list[Segment], steps: pl.DataFrame) -> Timeline:
    times: dict[Key, list[int]] = {}
    rows: dict[Key, list[tuple[Any, ...]]] = {}
    keys, instants = list(view.entity_keys), [pl.col("valid_from", "event_time").dt.epoch("us")]
    columns = [*keys, "valid_from", "event_time", *view.features]
    for row in steps.sort([*keys, "valid_from"]).with_columns(instants).select(columns).iter_rows():
        key = row[: len(keys)]
        times.setdefault(key, []).append(row[len(keys)])
        rows.setdefault(key, []).append(row[len(keys) + 1 :])
    return Timeline(view, segments, times, rows)
