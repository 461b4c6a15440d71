"""The gold table of a view: the version of it that readers get, and what of time that covers.

Each commit says in its metadata what every part of the covered time was computed from, so that one entry
of the log tells all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headrace.definitions.fingerprint import source_fingerprint, view_fingerprint
from headrace.definitions.sources import Source
from headrace.definitions.views import FeatureView
from headrace.errors import NotAppliedError
from headrace.timeline.coverage import Coverage
from headrace.types import BEGINNING, FOREVER

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from headrace.lake.base import Commit, DataFile, Lake, Table
    from headrace.platform.context import Context
    from headrace.registry.base import Publication

DAY_COLUMN = "_hr_day"
MANY_SEGMENTS = 200


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of gold and the version of silver that it was computed from."""

    since: int
    until: int
    silver_version: int
    carry_digest: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A view's gold table under one definition, at one version.

    Parameters
    ----------
    view : FeatureView
        The view.
    fingerprint : str
        That of its definition.
    table : Table
        Its steps.
    pinned : int or None
        The version of the table that is read; None where nothing was published.
    publication : Publication, optional
        The publication with that version.
    """

    view: FeatureView
    fingerprint: str
    table: Table
    pinned: int | None = None
    publication: Publication | None = None

    @classmethod
    def of(cls, context: Context, view: FeatureView) -> Gold:
        """The gold of a view as it is defined here, at its newest publication."""
        gold = cls.unpublished(context.lake, view)
        mine = [
            p for p in context.registry.publications(view.name) if p.fingerprint == gold.fingerprint and not p.vacuumed
        ]
        return gold.published_as(mine[-1]) if mine else gold

    @classmethod
    def unpublished(cls, lake: Lake, view: FeatureView) -> Gold:
        """The gold table of a view as it is defined here, at no version."""
        fingerprint = view_fingerprint(view)
        return cls(view, fingerprint, lake.table("gold", view.name, fingerprint))

    def published_as(self, publication: Publication) -> Gold:
        """The same table at the version of a publication."""
        return replace(self, pinned=publication.table_version, publication=publication)

    def at(self, version: int) -> Gold:
        """The same table at another version."""
        return replace(self, pinned=version, publication=None)

    @property
    def version(self) -> int:
        """The version of the table that is read.

        Raises
        ------
        NotAppliedError
            If nothing has been published under the view's definition.
        """
        if self.pinned is None:
            raise NotAppliedError(
                f"{self.view.place} has never been backfilled as it is defined now. "
                f"Run: headrace backfill {self.view.name}"
            )
        return self.pinned

    def scan(self) -> pl.LazyFrame:
        """The steps."""
        return self.table.scan(self.version)

    def files(self) -> list[DataFile]:
        """The files of the steps; none where nothing was published."""
        return [] if self.pinned is None else self.table.files(self.pinned)

    def segments(self) -> list[Segment]:
        """What each part of the covered time was computed from."""
        return [] if self.pinned is None else segments_of(self.table.commit_at(self.pinned).metadata)

    def computed(self) -> Coverage:
        """The time for which steps were computed."""
        return Coverage.of((s.since, s.until) for s in self.segments())

    def complete(self) -> Coverage:
        """The time for which values are complete: computed, and the source had its rows."""
        return self.computed().from_time(complete_from(self.view))

    def stale_from(self, silver_commits: Iterable[Commit], segments: Iterable[Segment] | None = None) -> int | None:
        """The earliest covered instant that rows ingested since would change; None if there is none."""
        commits = known_since(silver_commits)
        stale = [
            max(segment.since, known)
            for segment in (self.segments() if segments is None else segments)
            for version, known in commits
            if version > segment.silver_version and known < segment.until
        ]
        return min(stale, default=None)


def state_folder(lake: Lake, gold: Gold) -> Path:
    """Where the state of a definition lies: what is carried, candidates, and audits that found something."""
    return lake.folder("state", gold.view.name, gold.fingerprint)


def silver_table(lake: Lake, source: Source) -> Table:
    """The silver table of a source."""
    return lake.table("silver", source.name)


def complete_from(view: FeatureView) -> int:
    """From when on a view has every row it needs (S), as far as its source has declared that.

    The source's ``complete_from`` plus the longest window; a `last` that ages is complete once every
    older row would be too old. A source that declares nothing is taken to begin with its data.
    """
    start = view.source.complete_from_us
    return BEGINNING if start is None or start <= BEGINNING else start + max(view.history_us, view.ttl_us or 0)


def definition_notes(view: FeatureView) -> dict[str, str]:
    """What every gold commit says of the definition that made it."""
    return {"view": view.name, "definition": view_fingerprint(view), "source": source_fingerprint(view.source)}


def segments_of(metadata: Mapping[str, str]) -> list[Segment]:
    """What a commit says of the covered time."""
    return [Segment(*part) for part in json.loads(metadata["segments"])]


def segments_text(segments: Iterable[Segment]) -> str:
    """As `segments_of` reads it."""
    return json.dumps([[s.since, s.until, s.silver_version, s.carry_digest] for s in segments])


def overridden(segments: list[Segment], newer: Segment) -> list[Segment]:
    """The segments, in order of time, where a newer one takes the place of what it overlaps."""
    kept = [newer]
    for old in segments:
        if old.since < newer.since:
            kept.append(Segment(old.since, min(old.until, newer.since), old.silver_version, _end_of(old, newer.since)))
        if old.until > newer.until:
            kept.append(Segment(max(old.since, newer.until), old.until, old.silver_version, old.carry_digest))
    return sorted((s for s in kept if s.since < s.until), key=lambda s: s.since)


def joined_segments(segments: list[Segment], silver_commits: Iterable[Commit]) -> list[Segment]:
    """Fewer segments that say the same: old neighbours become one where rows that came since change neither.

    What is lost are digests in the middle, at which a later redoing could have stopped early.
    """
    many = len(segments) - MANY_SEGMENTS
    if many <= 0:
        return segments
    commits = known_since(silver_commits)
    joined = segments[:1]
    for number, segment in enumerate(segments[1:], start=1):
        one = _joined(joined[-1], segment, commits) if number <= many else None
        joined[-1:] = [joined[-1], segment] if one is None else [one]
    return joined


def known_since(silver_commits: Iterable[Commit]) -> list[tuple[int, int]]:
    """For each version of silver that added rows, the earliest instant at which one of them counts."""
    found = ((c.version, int(c.metadata.get("min_known_us", FOREVER))) for c in silver_commits)
    return [(version, known) for version, known in found if known < FOREVER]


def is_same_at(segment: Segment, silver_version: int, commits: Iterable[tuple[int, int]]) -> bool:
    """Whether a segment would be the same if it were computed from a later version of silver."""
    return all(
        known >= segment.until for version, known in commits if segment.silver_version < version <= silver_version
    )


def _joined(one: Segment, other: Segment, commits: list[tuple[int, int]]) -> Segment | None:
    newest = max(one.silver_version, other.silver_version)
    same = is_same_at(one, newest, commits) and is_same_at(other, newest, commits)
    touches = one.until == other.since
    return Segment(one.since, other.until, newest, other.carry_digest) if same and touches else None


def _end_of(old: Segment, cut: int) -> str:
    """A digest belongs to a segment's end; a segment that was cut short has none."""
    return old.carry_digest if old.until <= cut else ""
