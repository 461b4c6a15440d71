"""Rows that counted before the stream's cut when they came: what was said before the cut is not said again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.platform.lookup import TIME
from headrace.quality.base import KNOWN
from headrace.timeline.coverage import Coverage

if TYPE_CHECKING:
    from headrace.platform.verify_stream_lane import Streamed
    from headrace.platform.verify_stream_rows import OtherRows

_WINDOW: Final = "_hr_window"


def is_behind(lane: Streamed, rows: OtherRows, different: pl.DataFrame, entities: pl.DataFrame) -> list[bool]:
    """Whether each difference lies between a row of its entity that came behind the cut, and that cut.

    From the cut on such a row counts; what the view was until then the stream had said already.
    """
    windows = Coverage.of((least, since + 1) for least, since in lane.behind).intervals
    if not windows or different.is_empty():
        return [False] * len(different)
    keys = list(entities.columns)
    known = _placed(rows.known(entities), KNOWN, windows).group_by(*keys, _WINDOW).agg(pl.col(KNOWN).min())
    timed = different.select(*keys, pl.col(TIME).dt.epoch("us"))
    found = _placed(timed, TIME, windows, all_rows=True).join(
        known, on=[*keys, _WINDOW], how="left", maintain_order="left"
    )
    return list((found[KNOWN] <= found[TIME]).fill_null(value=False))


def _placed(
    frame: pl.DataFrame, column: str, windows: tuple[tuple[int, int], ...], *, all_rows: bool = False
) -> pl.DataFrame:
    """Rows with the window that each lies in; null, or left out, where it lies in none."""
    lows, highs = np.array(windows, dtype=np.int64).T
    at = frame[column].to_numpy()
    place = np.searchsorted(lows, at, side="right") - 1
    inside = (place >= 0) & (at < highs[place])
    placed = frame.with_columns(pl.Series(_WINDOW, place).cast(pl.Int64))
    if all_rows:
        return placed.with_columns(pl.when(pl.Series(inside)).then(_WINDOW).alias(_WINDOW))
    return placed.filter(pl.Series(inside))
