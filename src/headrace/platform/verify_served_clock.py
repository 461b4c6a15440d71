"""By how much the clocks of workers were wrong, as the log tells it."""

from __future__ import annotations

from typing import Final

import polars as pl

from headrace.platform.served_log_frames import ANSWERED, AT, PRESENT_TIME, WORKER
from headrace.types import SECOND

TOLERANCE_US: Final = 2 * SECOND
"""An answer's time is that at which the request came, some milliseconds before the log is given it."""
SLOW_US: Final = 60 * SECOND
"""No single request takes so long; and a clock may be behind by so much, as records go so far back."""
_BUCKET: Final = "15m"
OFFSET: Final = "_hr_offset"


def with_offsets(log: pl.DataFrame) -> pl.DataFrame:
    """The log with by how much each answer's clock was ahead, in microseconds: 0 where it was right.

    It is the answer's own time less the time at which it was given to the log, which is by the machine's clock. An
    answer that is some seconds behind was slow, unless most of its worker's answers in that quarter of an hour are.
    Where the two times agree, but answers show what was written a minute and more after them, the clock of the whole
    machine is behind: by that much at least.

    Parameters
    ----------
    log : frame
        Rows of the log of one service.
    """
    group = [pl.col(WORKER), pl.col(ANSWERED).dt.truncate(_BUCKET)]
    asked_now = pl.when(pl.col(PRESENT_TIME)).then(pl.col(AT))  # a caller's own at= tells nothing of a clock
    ahead = (asked_now - pl.col(ANSWERED)).dt.total_microseconds()
    is_off = (ahead > TOLERANCE_US) | (ahead < -SLOW_US) | (ahead.median().over(group) < -TOLERANCE_US)
    measured = pl.when(is_off).then(ahead).otherwise(-_behind(log.columns, asked_now).over(group))
    return log.with_columns(measured.fill_null(0).cast(pl.Int64).alias(OFFSET))


def _behind(columns: list[str], at: pl.Expr) -> pl.Expr:
    """By how much what was read was written after the answer's time, where that can't be."""
    written = [name for name in columns if name.startswith("_hr_") and name.endswith("__written_at")]
    if not written:
        return pl.lit(0, dtype=pl.Int64).max()
    most = (pl.max_horizontal(written) - at).dt.total_microseconds().max()
    return pl.when(most > SLOW_US).then(most).otherwise(0)


def offsets_of(log: pl.DataFrame) -> dict[str, int]:
    """For each worker whose clock was wrong, by how much it was ahead at most, in microseconds."""
    wrong = log.filter(pl.col(OFFSET) != 0)
    most = wrong.group_by(WORKER).agg(pl.col(OFFSET).sort_by(pl.col(OFFSET).abs()).last()).sort(WORKER)
    return dict(most.iter_rows())
