"""The columns that quality adds or reads, beside those of a source."""

from __future__ import annotations

from typing import Final

import polars as pl

UTC: Final = pl.Datetime("us", "UTC")

ARRIVED: Final = "_hr_arrived"
"""When a row arrived in bronze."""
AVAILABLE: Final = "_hr_available"
"""When a row was known, where that was measured."""
OP: Final = "_hr_op"
"""What a change did to its row: c, u, d, r or t."""
POSITION: Final = "_hr_position"
"""Where a change stands in its database's log."""
SNAPSHOT: Final = "_hr_snapshot"
"""The time of a row's snapshot."""
KNOWN: Final = "_hr_known"
"""When a row counts from."""
TIME: Final = "_hr_time"
"""When a row happened; not kept."""
FAILURES: Final = pl.Schema(
    [("index", pl.UInt32()), ("reason", pl.String()), ("column", pl.String()), ("found", pl.String())]
)
"""Why rows fail: the row's place in its frame, the reason, the column (null: the whole row) and what was found."""
