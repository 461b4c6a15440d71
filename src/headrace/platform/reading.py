"""Reading a view's values at given times from gold."""

from __future__ import annotations

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView, Selection
from headrace.errors import IncompleteError
from headrace.platform.gold import Gold, complete_from
from headrace.platform.lookup import Question, steps_in_force
from headrace.timeline.arrays import Bools, Ints
from headrace.types import BEGINNING, FOREVER, instant_text

PRESENT, STATUS_NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE = (
    "PRESENT", "NOT_FOUND", "NULL_VALUE", "OUTSIDE_MAX_AGE", "INCOMPLETE",
)  # fmt: skip
STATUSES = pl.Enum([PRESENT, STATUS_NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE])
_CODES = {status: code for code, status in enumerate(STATUSES.categories)}


def values_at(
    gold: Gold, chosen: Selection, question: Question, on_incomplete: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The chosen features for each question, and their statuses.

    Parameters
    ----------
    gold : Gold
        The view's gold, at the version to read.
    chosen : Selection
        Which features.
    question : Question
        For whom and when.
    on_incomplete : {"raise", "null"}
        What to do where the view is not complete at the asked time.

    Returns
    -------
    values, statuses : frames
        One row a question, in its order; a column a feature, named as in the training set.
    """
    complete = _complete(gold, question, on_incomplete)
    found, there = steps_in_force(gold.table, gold.version, question, step_columns(chosen))
    return judged(chosen, found, there, question.time, complete)


def step_columns(chosen: Selection) -> list[str]:
    """What `judged` needs of a step: the event time only where values age."""
    return [*([] if chosen.view.ttl_us is None else ["event_time"]), *chosen.feature_names]


def judged(
    chosen: Selection, found: pl.DataFrame, exists: Bools, time: Ints, complete: Bools
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Apply completeness and ttl to the steps that were found.

    Parameters
    ----------
    found : frame
        For each question the step in force, null if none: the columns that `step_columns` names.
    exists : bool array
        Whether there is one.
    time : int64 array
        When it is asked for, in microseconds.
    complete : bool array
        Whether the view is complete then.
    """
    expired = _expired(chosen, found, time) & exists
    values, statuses = [], []
    for feature, column in chosen.columns.items():
        old = expired if chosen.view.features[feature].ages else np.zeros_like(expired)
        series = found[feature].alias(column)
        hidden = pl.Series(old | ~complete)
        series = pl.select(pl.when(~hidden).then(series).alias(column)).to_series() if hidden.any() else series
        values.append(series)
        statuses.append(_statuses(f"{column}__status", series, exists, old, complete))
    return pl.DataFrame(values), pl.DataFrame(statuses)


def _expired(chosen: Selection, found: pl.DataFrame, time: Ints) -> Bools:
    """Where the newest row is older than the view's ttl."""
    if chosen.view.ttl_us is None:
        return np.zeros(len(time), dtype=bool)
    age: Ints = time - found["event_time"].dt.epoch("us").fill_null(FOREVER).to_numpy()
    return age > chosen.view.ttl_us


def _statuses(name: str, series: pl.Series, exists: Bools, expired: Bools, complete: Bools) -> pl.Series:
    """What became of each value, the first reason that holds of: incomplete, not found, too old, null."""
    codes = np.full(len(series), _CODES[PRESENT], dtype=np.uint8)
    codes[series.is_null().to_numpy()] = _CODES[NULL_VALUE]
    codes[expired] = _CODES[OUTSIDE_MAX_AGE]
    codes[~exists] = _CODES[STATUS_NOT_FOUND]
    codes[~complete] = _CODES[INCOMPLETE]
    return pl.Series(name, codes).cat.to(STATUSES)


def _complete(gold: Gold, question: Question, on_incomplete: str) -> Bools:
    coverage = gold.complete()
    inside = coverage.contains(question.time)
    if on_incomplete == "raise" and not inside.all():
        raise _incomplete(gold.view, question.time[~inside], len(question.time), str(coverage))
    return inside


def _incomplete(view: FeatureView, outside: Ints, total: int, coverage: str) -> IncompleteError:
    start = complete_from(view)
    since = f" Its source is complete from {instant_text(start)}." if start > BEGINNING else ""
    return IncompleteError(
        f"{view.place}: {len(outside)} of {total} times lie outside of what is complete ({coverage}), from "
        f"{instant_text(int(outside.min()))} to {instant_text(int(outside.max()))}.{since} Run: headrace backfill "
        f"{view.name}, with --end where it should reach further; or pass on_incomplete='null'."
    )
