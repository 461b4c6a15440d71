"""Logs of changes and daily snapshots, read as versions of rows with their ends.

A log's order is that of its positions; entries need not have become known in that order, nor arrive in
it. So the open versions are remembered with their positions, and for a while so are deletions: an entry that
arrives behind its successor has ended before it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource, as_columns
from headrace.definitions.views import FeatureView
from headrace.engines.base import Carry, Known
from headrace.engines.polars_rows import ROW_ID, known_at, normalised
from headrace.engines.transforms import run_transform
from headrace.timeline.versions import deaths
from headrace.types import FOREVER, SECOND

MutableSource = ChangeSource | SnapshotSource
_PLACE, _OP, _KNOWN, _DEATH = "_hr_place", "_hr_op", "_hr_a", "_hr_death"
_ROWS, _ENDS = ("c", "u", "r"), ("d", "t")
CLOCK_SKEW = 3_600 * SECOND
"""How far known times may run back along a log."""


@dataclass(frozen=True, slots=True)
class Versions:
    """A log of changes, read as versions of rows.

    Parameters
    ----------
    rows : frame
        The normalised versions that are new, and those carried, with their ends as known by now.
    log : frame
        The entries that later ones may end or be ended by: open versions, and recent deletions.
    next_row_id : int
        The id that the next entry will get.
    non_finite : mapping of str to int
        How many NaN and infinite values the new versions had, by column.
    """

    rows: pl.DataFrame
    log: pl.DataFrame
    next_row_id: int
    non_finite: dict[str, int]


def change_rows(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, known: Known, since: int) -> Versions:
    """Normalise a log of changes as versions of rows, each with its end."""
    source = cast(MutableSource, view.source)
    next_id = 0 if carry is None else carry.next_row_id
    log = _log(source, silver, known, next_id)
    entries = _with_deaths(source, log, None if carry is None else carry.log, known)
    fresh = log.join(entries.select(ROW_ID, _DEATH), on=ROW_ID, how="inner", maintain_order="left")
    fresh = fresh.filter(pl.col(_OP).is_in(_ROWS)).with_columns(pl.col(_KNOWN).alias("_hr_from"))
    rows, dirty = normalised(view, run_transform(view, fresh))
    if carry is not None and carry.rows is not None:
        rows = pl.concat([_updated(carry.rows, entries), rows], how="vertical_relaxed")
    return Versions(rows, _remembered(source, entries, since), next_id + len(log), dirty)


def _log(source: MutableSource, silver: pl.DataFrame, known: Known, first_id: int) -> pl.DataFrame:
    """New entries, numbered, with their place in the log and when each was known."""
    if isinstance(source, SnapshotSource):
        frame = _snapshots_as_log(silver).with_columns(pl.col("_hr_snapshot").dt.epoch("us").alias(_PLACE))
    else:
        frame = silver.with_columns(pl.col("_hr_position").alias(_PLACE))
    frame = frame.with_row_index(ROW_ID, offset=first_id).with_columns(pl.col(ROW_ID).cast(pl.Int64))
    return frame.with_columns(known_at(source, silver.schema, known).alias(_KNOWN))


def _snapshots_as_log(silver: pl.DataFrame) -> pl.DataFrame:
    """Each snapshot as a truncate of the one before, and an insert for each of its rows."""
    rows = silver.with_columns(pl.lit("r").alias(_OP))
    truncates = rows.select("_hr_snapshot").unique().with_columns(pl.lit("t").alias(_OP))
    return pl.concat([rows, truncates], how="diagonal")


def _with_deaths(
    source: MutableSource, log: pl.DataFrame, remembered: pl.DataFrame | None, known: Known
) -> pl.DataFrame:
    """The remembered and the new entries in the log's order, each with its end."""
    primary = list(as_columns(source.primary_key))
    entries = log.select(*primary, ROW_ID, _PLACE, _OP, _KNOWN)
    if remembered is not None:
        entries = pl.concat([remembered, entries], how="vertical_relaxed")
    # At one place, a snapshot's truncate comes before its rows.
    entries = entries.sort([_PLACE, pl.col(_OP) != "t"], maintain_order=True)
    codes = entries.select(pl.struct(primary).rank("dense").cast(pl.Int64).alias("code"))["code"]
    ended = deaths(codes.to_numpy(), _end_known(source, entries, known), (entries[_OP] == "t").to_numpy())
    delta = 0 if source.inclusive else 1
    return entries.with_columns(pl.Series(_DEATH, np.where(ended < FOREVER, ended + delta, FOREVER)))


def _end_known(
    source: MutableSource, entries: pl.DataFrame, known: Known
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """When each entry was known to end its predecessor; by today's truth about a table, that never was."""
    if known == "now" and isinstance(source, ChangeSource):
        return np.full(len(entries), -FOREVER)
    return entries[_KNOWN].to_numpy()


def _updated(rows: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """Carried rows, with the ends that have become known since."""
    fresh = entries.select(ROW_ID, fresh=_DEATH)
    joined = rows.join(fresh, on=ROW_ID, how="left", maintain_order="left")
    return joined.with_columns(pl.min_horizontal(_DEATH, "fresh").alias(_DEATH)).drop("fresh")


def _remembered(source: MutableSource, entries: pl.DataFrame, since: int) -> pl.DataFrame:
    """Open versions, deletions for as long as identities are remembered, and what was just replaced."""
    is_open = pl.col(_OP).is_in(_ROWS) & (pl.col(_DEATH) == FOREVER)
    recent_end = pl.col(_OP).is_in(_ENDS) & (pl.col(_KNOWN) >= since - source.dedupe_within_us)
    return entries.filter(is_open | recent_end | (pl.col(_KNOWN) >= since - CLOCK_SKEW)).drop(_DEATH)
