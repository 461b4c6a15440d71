"""The gold table of a view: what of time it covers, and what has become known since below that.

Each commit says which span ``[since, until)`` of steps it wrote, from which version of silver. Later
commits override earlier ones where they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.definitions.fingerprint import source_fingerprint, view_fingerprint
from headrace.definitions.sources import Source
from headrace.definitions.views import FeatureView
from headrace.timeline.coverage import Coverage
from headrace.types import BEGINNING, FOREVER

if TYPE_CHECKING:
    from headrace.lake.base import Commit, Lake, Table

DAY_COLUMN = "_hr_day"


@dataclass(frozen=True, slots=True)
class Segment:
    """A span of gold and the version of silver that it was computed from."""

    since: int
    until: int
    silver_version: int
    carry_digest: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A view's gold table under its definition in force.

    Parameters
    ----------
    view : FeatureView
        The view.
    fingerprint : str
        That of its definition.
    table : Table
        Its steps.
    """

    view: FeatureView
    fingerprint: str
    table: Table

    @classmethod
    def of(cls, lake: Lake, view: FeatureView) -> Gold:
        """The gold of a view."""
        fingerprint = view_fingerprint(view)
        return cls(view, fingerprint, lake.table("gold", view.name, fingerprint))

    def segments(self, version: int | None = None) -> list[Segment]:
        """What each part of the covered time was computed from, up to a version of the table."""
        if not self.table.exists():
            return []
        found: list[Segment] = []
        for commit in self.table.commits():
            if version is not None and commit.version > version:
                break
            if commit.metadata.get("kind") == "backfill":
                found = _overridden(found, _segment(commit))
        return sorted(found, key=lambda s: s.since)

    def computed(self, version: int | None = None) -> Coverage:
        """The time for which steps were computed."""
        return Coverage.of((s.since, s.until) for s in self.segments(version))

    def complete(self, version: int | None = None) -> Coverage:
        """The time for which values are complete: computed, and the source had its rows."""
        return self.computed(version).from_time(complete_from(self.view))

    def stale_from(self, silver_commits: Iterable[Commit], segments: Iterable[Segment] | None = None) -> int | None:
        """The earliest covered instant that rows ingested since would change; None if there is none."""
        commits = [(c.version, _least_known(c)) for c in silver_commits]
        stale = [
            max(segment.since, known)
            for segment in (self.segments() if segments is None else segments)
            for version, known in commits
            if version > segment.silver_version and known < segment.until
        ]
        return min(stale, default=None)


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


def _segment(commit: Commit) -> Segment:
    note = commit.metadata
    return Segment(int(note["since"]), int(note["until"]), int(note["silver_version"]), note["carry"])


def _overridden(segments: list[Segment], newer: Segment) -> list[Segment]:
    kept = []
    for old in segments:
        if old.since < newer.since:
            kept.append(Segment(old.since, min(old.until, newer.since), old.silver_version, _end_of(old, newer.since)))
        if old.until > newer.until:
            kept.append(Segment(max(old.since, newer.until), old.until, old.silver_version, old.carry_digest))
    return [s for s in kept if s.since < s.until] + [newer]


def _end_of(old: Segment, cut: int) -> str:
    """A digest belongs to a segment's end; a segment that was cut short has none."""
    return old.carry_digest if old.until <= cut else ""


def _least_known(commit: Commit) -> int:
    return int(commit.metadata.get("min_known_us", FOREVER))
