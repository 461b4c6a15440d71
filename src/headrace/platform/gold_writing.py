"""Writing a span of steps into gold: one commit, whole days replaced, the rest of a day kept."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from headrace.lake.reading import collect
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import DAY_COLUMN, Gold, definition_notes

if TYPE_CHECKING:
    from headrace.lake.base import StagedFile
    from headrace.platform.spans import Span


def write_span(
    gold: Gold, span: Span, steps: pl.DataFrame, run_id: str, silver_version: int, carry_digest: str
) -> None:
    """Commit the steps of a span in place of those that gold had there.

    Where gold had none, files are only added. Steps are sorted by the entity's keys and time within
    each day's file, so that a reader finds an entity by the file's statistics.
    """
    touched = _overlapping(gold, span)
    frame = steps.with_columns(pl.col("valid_from").dt.date().alias(DAY_COLUMN))
    if touched:
        frame = pl.concat([frame, _outside(gold, span, touched)]).sort([*gold.view.entity_keys, "valid_from"])
    staged = [_staged(gold, day, part) for (day,), part in _by_day(frame)]
    crash_point("before gold commit")
    gold.table.commit(
        staged,
        schema=frame.schema,
        mode="replace" if touched else "append",
        partition_by=[DAY_COLUMN],
        replace_partitions=[{DAY_COLUMN: day} for day in touched] if touched else None,
        metadata={
            **definition_notes(gold.view),
            "kind": "backfill",
            "run": run_id,
            "since": str(span.since),
            "until": str(span.until),
            "silver_version": str(silver_version),
            "steps": str(len(steps)),
            "carry": carry_digest,
        },
    )
    crash_point("after gold commit")


def _staged(gold: Gold, day: object, steps: pl.DataFrame) -> StagedFile:
    staged = gold.table.stage(steps, {DAY_COLUMN: str(day)})
    crash_point("after gold file")
    return staged


def _overlapping(gold: Gold, span: Span) -> list[str]:
    """The days of the span in which gold has steps within it."""
    if not gold.table.exists() or not gold.computed().overlaps(span.since, span.until):
        return []
    first, last = (str(pl.Series([t]).cast(pl.Datetime("us")).dt.date()[0]) for t in (span.since, span.until - 1))
    return sorted({f.partition[DAY_COLUMN] for f in gold.table.files() if first <= f.partition[DAY_COLUMN] <= last})


def _outside(gold: Gold, span: Span, days: list[str]) -> pl.DataFrame:
    """The steps of these days that lie before or after the span."""
    time = pl.col("valid_from").dt.epoch("us")
    frame = gold.table.scan().filter(pl.col(DAY_COLUMN).is_in([date.fromisoformat(day) for day in days]))
    return collect(frame.filter((time < span.since) | (time >= span.until)), gold.table)


def _by_day(frame: pl.DataFrame) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    return list(frame.partition_by(DAY_COLUMN, as_dict=True, maintain_order=True).items())
