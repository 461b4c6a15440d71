"""Publishing: one commit that refers to an audited candidate, then one row in the registry that readers follow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from headrace.errors import ConflictError
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import (
    DAY_COLUMN,
    Gold,
    Segment,
    is_same_at,
    joined_segments,
    known_since,
    overridden,
    silver_table,
)
from headrace.platform.gold_merging import merged
from headrace.platform.holds import check_not_held
from headrace.platform.registering import BACKFILL, Turn, commit_notes, landed, register, turn
from headrace.registry.base import Publication
from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.platform.candidate import Candidate
    from headrace.platform.context import Context
    from headrace.quality.audit import Verdict


def publish(context: Context, gold: Gold, candidate: Candidate, verdict: Verdict) -> Publication:
    """Let everybody read an audited candidate, offline and online.

    Raises
    ------
    HeldError
        If the view is held.
    ConflictError
        If what the candidate was computed for has changed meanwhile.
    LeaseLostError
        If another process took over.
    OnlineStoreError
        If it is published, and the online store could not be written.
    """
    with turn(context, gold) as mine:
        check_not_held(context, gold.view.name)
        silver_commits = list(silver_table(context.lake, gold.view.source).commits())
        segments = mine.gold.segments()
        _check_fits(mine.gold, candidate, segments, known_since(silver_commits))
        for part in candidate.parts:
            newer = Segment(part.since, part.until, candidate.silver_version, part.carry_digest)
            segments = overridden(segments, newer)
        notes = commit_notes(
            mine, BACKFILL, candidate.run_id, segments=joined_segments(segments, silver_commits),
            steps=candidate.steps, verdict=json.dumps(verdict.plain()), since=candidate.start, until=candidate.reached,
        )  # fmt: skip
        version = _commit(mine, candidate, notes)
        return register(mine, version)


def _check_fits(gold: Gold, candidate: Candidate, segments: list[Segment], silver: list[tuple[int, int]]) -> None:
    """A candidate stands on what was published when it began."""
    start, end = candidate.start, candidate.reached
    covered = any(s.since < start <= s.until for s in segments)
    if candidate.parts and not candidate.parts[0].opening and not covered:
        candidate.discard(gold.table)
        raise ConflictError(
            f"{gold.view.place}: run {candidate.run_id} goes on from {instant_text(start)}, and what was published "
            "before that has been taken back meanwhile. Run the same command again."
        )
    ours = Segment(start, end, candidate.silver_version, "")
    newest = max((s.silver_version for s in segments if s.since < end and start < s.until), default=0)
    if not is_same_at(ours, newest, silver):
        candidate.discard(gold.table)
        raise ConflictError(
            f"{gold.view.place}: run {candidate.run_id} did not know rows that another run, which was published "
            "meanwhile, did. Run the same command again."
        )


def _commit(mine: Turn, candidate: Candidate, notes: dict[str, str]) -> int:
    gold = mine.gold
    removed, rest = merged(gold, candidate.start, candidate.reached)
    staged = [*candidate.files, *rest]
    mine.lease.check()
    crash_point("before gold commit")
    version = landed(gold.table.commit(
        staged, schema=_schema(mine, candidate), mode="append", partition_by=[DAY_COLUMN], metadata=notes,
        removed=removed, expected_version=mine.head,
    ))  # fmt: skip
    crash_point("after gold commit")
    return version


def _schema(mine: Turn, candidate: Candidate) -> pl.Schema:
    """The table's columns, for a first candidate without a step too."""
    files = candidate.files
    if files:
        return pl.Schema(files[0].columns)
    if mine.head >= 0:
        return mine.gold.table.schema()
    view = mine.gold.view
    rows = silver_table(mine.context.lake, view.source).scan(candidate.silver_version).head(0).collect()
    steps = mine.context.engine.compute(view, rows, None, candidate.start, candidate.reached).steps
    return pl.Schema({**steps.schema, DAY_COLUMN: pl.Date()})
