"""Putting a span of new steps in the place of the old ones: which files go, and what of them stays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from headrace.lake.reading import collect
from headrace.platform.gold import DAY_COLUMN
from headrace.platform.gold_staging import staged_steps
from headrace.types import instant

if TYPE_CHECKING:
    from headrace.lake.base import DataFile, StagedFile
    from headrace.platform.gold import Gold

TIME = "valid_from"


def merged(gold: Gold, since: int, until: int) -> tuple[list[DataFile], list[StagedFile]]:
    """What makes room for the steps of ``[since, until)``.

    Returns
    -------
    removed : list of DataFile
        The files that hold steps of the span.
    staged : list of StagedFile
        Their steps outside of the span, written anew. There are none where spans follow each other.
    """
    removed = [file for file in gold.files() if _may_hold(file, since, until)]
    cut = [file for file in removed if not _lies_within(file, since, until)]
    return removed, staged_steps(gold.table, _outside(gold, cut, since, until)) if cut else []


def _may_hold(file: DataFile, since: int, until: int) -> bool:
    if TIME not in file.minimum or TIME not in file.maximum:
        return True
    return instant(file.minimum[TIME]) < until and since <= instant(file.maximum[TIME])


def _lies_within(file: DataFile, since: int, until: int) -> bool:
    if TIME not in file.minimum or TIME not in file.maximum:
        return False
    return since <= instant(file.minimum[TIME]) and instant(file.maximum[TIME]) < until


def _outside(gold: Gold, files: Sequence[DataFile], since: int, until: int) -> pl.DataFrame:
    time = pl.col(TIME).dt.epoch("us")
    kept = gold.table.scan_files(files).filter((time < since) | (time >= until)).drop(DAY_COLUMN)
    return collect(kept.sort([*gold.view.entity_keys, TIME]), gold.table, gold.version)
