"""Writing a span of steps where nobody reads it yet: a file for each day, sorted by entity and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from headrace.platform.crash_points import crash_point
from headrace.platform.gold import DAY_COLUMN

if TYPE_CHECKING:
    from headrace.lake.base import StagedFile, Table


def staged_steps(table: Table, steps: pl.DataFrame) -> list[StagedFile]:
    """Stage steps by the UTC day of their ``valid_from``.

    Steps come sorted by the entity's keys and time, so that a reader finds an entity by the file's
    statistics.
    """
    frame = steps.with_columns(pl.col("valid_from").dt.date().alias(DAY_COLUMN))
    days = frame.partition_by(DAY_COLUMN, as_dict=True, maintain_order=True)
    return [_staged(table, day, part) for (day,), part in days.items()]


def _staged(table: Table, day: object, steps: pl.DataFrame) -> StagedFile:
    staged = table.stage(steps, {DAY_COLUMN: str(day)})
    crash_point("after gold file")
    return staged
