"""Reading a view's values at given times from gold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView, Selection
from headrace.errors import IncompleteError, NotAppliedError
from headrace.platform.gold import Gold, complete_from
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.asof import NOT_FOUND, as_of
from headrace.types import BEGINNING, FOREVER, instant_text

ROWS_AT_ONCE = 20_000_000
PRESENT, STATUS_NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE = (
    "PRESENT", "NOT_FOUND", "NULL_VALUE", "OUTSIDE_MAX_AGE", "INCOMPLETE",
)  # fmt: skip
STATUSES = pl.Enum([PRESENT, STATUS_NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE])


@dataclass(frozen=True, slots=True)
class Question:
    """For whom and when values are asked.

    Parameters
    ----------
    keys : frame
        The entity's keys, one row a question; no columns for a global view.
    time : int64 array
        In microseconds.
    """

    keys: pl.DataFrame
    time: Ints


def values_at(
    gold: Gold, chosen: Selection, question: Question, version: int, on_incomplete: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The chosen features for each question, and their statuses.

    Parameters
    ----------
    gold : Gold
        The view's gold.
    chosen : Selection
        Which features.
    question : Question
        For whom and when.
    version : int
        The version of the gold table.
    on_incomplete : {"raise", "null"}
        What to do where the view is not complete at the asked time.

    Returns
    -------
    values, statuses : frames
        One row a question, in its order; a column a feature, named as in the training set.
    """
    complete = _complete(gold, question, version, on_incomplete)
    pieces = [_piece(gold, chosen, question, place, version) for place in _ranges(gold, question, version)]
    place = np.concatenate([where for where, _ in pieces])
    found = pl.concat([frame for _, frame in pieces]).with_columns(pl.Series("_hr_place", place)).sort("_hr_place")
    return judged(chosen, found.drop("_hr_place"), question.time, complete)


def judged(chosen: Selection, found: pl.DataFrame, time: Ints, complete: Bools) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Apply completeness and ttl to the steps that were found.

    Parameters
    ----------
    found : frame
        For each question the step in force: ``valid_from`` (null if none), ``event_time``, features.
    """
    exists = found["valid_from"].is_not_null().to_numpy()
    age = time - found["event_time"].dt.epoch("us").fill_null(FOREVER).to_numpy()
    ttl = FOREVER if chosen.view.ttl_us is None else chosen.view.ttl_us
    values, statuses = [], []
    for feature, column in chosen.columns.items():
        expired = (age > ttl) & exists & chosen.view.features[feature].ages
        series = found[feature].alias(column)
        hidden = pl.Series(expired | ~complete)
        series = pl.select(pl.when(~hidden).then(series).alias(column)).to_series() if hidden.any() else series
        values.append(series)
        status = np.select(
            [~complete, ~exists, expired, series.is_null().to_numpy()],
            [INCOMPLETE, STATUS_NOT_FOUND, OUTSIDE_MAX_AGE, NULL_VALUE],
            PRESENT,
        )
        statuses.append(pl.Series(f"{column}__status", status, dtype=pl.String).cast(STATUSES))
    return pl.DataFrame(values), pl.DataFrame(statuses)


def pinned_version(gold: Gold) -> int:
    """The newest version of a gold table.

    Raises
    ------
    NotAppliedError
        If nothing has been backfilled under the view's definition.
    """
    if not gold.table.exists():
        raise NotAppliedError(
            f"{gold.view.place} has never been backfilled as it is defined now. Run: headrace backfill {gold.view.name}"
        )
    return gold.table.version()


def _complete(gold: Gold, question: Question, version: int, on_incomplete: str) -> Bools:
    coverage = gold.complete(version)
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


def _ranges(gold: Gold, question: Question, version: int) -> Iterator[Ints]:
    """The questions by ranges of entities, so that the steps of a range fit into memory."""
    rows = sum(file.rows for file in gold.table.files(version))
    parts = max(1, -(-rows // ROWS_AT_ONCE))
    if parts == 1 or not question.keys.columns:
        yield np.arange(len(question.time))
        return
    order = question.keys.with_row_index("_hr_place").sort(question.keys.columns)["_hr_place"].to_numpy()
    for part in np.array_split(order, parts):
        yield part.astype(np.int64)


def _piece(gold: Gold, chosen: Selection, question: Question, place: Ints, version: int) -> tuple[Ints, pl.DataFrame]:
    keys, time = question.keys[pl.Series(place)], question.time[place]
    steps = _steps(gold, chosen, keys, time, version)
    return place, steps_at(steps, list(gold.view.entity_keys), keys, time).select(
        "valid_from", "event_time", *chosen.feature_names
    )


def _steps(gold: Gold, chosen: Selection, keys: pl.DataFrame, time: Ints, version: int) -> pl.DataFrame:
    """The steps that may answer: of entities within the asked range, up to the last asked time."""
    scan = gold.table.scan(version).select(*gold.view.entity_keys, "valid_from", "event_time", *chosen.feature_names)
    if not len(time):
        return scan.limit(0).collect()
    last = pl.lit(int(time.max())).cast(pl.Datetime("us", "UTC"))
    scan = scan.filter(pl.col("valid_from") <= last)
    if keys.columns and (bounds := _bounds(keys)) is not None:
        scan = scan.filter(pl.col(keys.columns[0]).is_between(pl.lit(bounds[0]), pl.lit(bounds[1])))
    return scan.collect()


def _bounds(keys: pl.DataFrame) -> tuple[object, object] | None:
    first = keys.get_columns()[0]
    return None if first.null_count() == len(first) else (first.min(), first.max())


def steps_at(steps: pl.DataFrame, key_names: list[str], keys: pl.DataFrame, time: Ints) -> pl.DataFrame:
    """For each question the step in force, all null where there is none."""
    entities = _numbered(steps, key_names)
    group = _numbers(steps, entities, key_names)
    steps = steps.with_columns(pl.Series("_hr_group", group)).sort(["_hr_group", "valid_from"])
    found = as_of(
        steps["_hr_group"].to_numpy(),
        steps["valid_from"].dt.epoch("us").to_numpy(),
        _numbers(keys, entities, key_names, len(time)),
        time,
        len(entities),
    )
    index = pl.Series(found)
    return steps.drop("_hr_group")[_nullable(index)] if len(steps) else _nothing(steps, len(time))


def _numbered(steps: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    if not keys:
        return pl.DataFrame({"_hr_group": [0]}, schema={"_hr_group": pl.Int64})
    unique = steps.select(keys).unique().sort(keys)
    return unique.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_hr_group"))


def _numbers(frame: pl.DataFrame, entities: pl.DataFrame, keys: list[str], n: int | None = None) -> Ints:
    if not keys:
        return np.zeros(len(frame) if n is None else n, dtype=np.int64)
    joined = frame.select(keys).join(entities, on=keys, how="left", maintain_order="left")
    return joined["_hr_group"].fill_null(NOT_FOUND).to_numpy()


def _nullable(index: pl.Series) -> pl.Series:
    return index.set(index < 0, None)


def _nothing(steps: pl.DataFrame, n: int) -> pl.DataFrame:
    return steps.drop("_hr_group").clear(n)
