"""Values by today's best truth (``known="now"``): evaluated from silver, as no table holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from headrace.definitions.views import Selection
from headrace.lake.reading import collect
from headrace.platform.gold import silver_table
from headrace.platform.lookup import Question, steps_at
from headrace.platform.reading import judged, step_columns
from headrace.types import BEGINNING, FOREVER

if TYPE_CHECKING:
    from headrace.platform.context import Context


def values_now(
    context: Context, chosen: Selection, question: Question, silver_version: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `headrace.platform.reading.values_at`, as if every row had been known when it happened.

    All rows of the asked entities are read at once.
    """
    view = chosen.view
    rows = _rows(context, chosen, question, silver_version)
    steps = context.engine.compute(view, rows, None, BEGINNING // 4, FOREVER // 4, known="now").steps
    found, there = steps_at(steps, question, step_columns(chosen))
    return judged(chosen, found, there, question.time, np.ones(len(question.time), dtype=bool))


def _rows(context: Context, chosen: Selection, question: Question, version: int) -> pl.DataFrame:
    view = chosen.view
    table = silver_table(context.lake, view.source)
    scan = table.scan(version)
    if view.transform is None and not view.mutable and view.entity_keys:
        columns = view.key_columns
        asked = question.keys.unique().rename({key: columns[key] for key in question.keys.columns}).lazy()
        scan = scan.join(asked, on=list(columns.values()), how="semi")
    return collect(scan, table, version)
