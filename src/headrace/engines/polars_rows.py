"""Silver rows as the engine wants them: keys, order, and when each may be seen and has ended.

Headrace's columns of a normalised row, all integers of microseconds where they are times:
``_hr_key_*`` (the entity), ``_hr_t`` (happened), ``_hr_a`` (known), ``_hr_seq``, ``_hr_id_*``
(order among equals), ``_hr_visible`` and ``_hr_death`` (from when, until when it may be seen).
"""

from __future__ import annotations

import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource, Source
from headrace.definitions.views import FeatureView
from headrace.engines.base import Known
from headrace.engines.polars_features import without_non_finite
from headrace.engines.transforms import run_transform
from headrace.types import DAY, FOREVER

Normalised = tuple[pl.DataFrame, dict[str, int]]
"""Normalised rows, and how many NaN and infinite values were taken for nulls, by column."""
ROW_ID = "_hr_row_id"
ORDER = ("_hr_t", "_hr_a", "_hr_seq")
_END_OF_DAY = DAY - 1


def key_columns(view: FeatureView) -> list[str]:
    """The names of a normalised row's key columns."""
    return [f"_hr_key_{key}" for key in view.entity_keys]


def order_columns(view: FeatureView) -> list[str]:
    """The columns that order the rows of an entity, most significant first."""
    return [*ORDER, *(f"_hr_id_{column}" for column in view.source.identity)]


def microseconds(column: str, dtype: pl.DataType) -> pl.Expr:
    """A time column as integer microseconds; a day is its last microsecond."""
    if dtype == pl.Date:
        return pl.col(column).cast(pl.Int64) * DAY + _END_OF_DAY
    return pl.col(column).dt.epoch("us")


def event_rows(view: FeatureView, silver: pl.DataFrame, known: Known) -> Normalised:
    """Normalise rows that stay as they are once they happened."""
    source = view.source
    happened = microseconds(str(source.event_time), silver.schema[str(source.event_time)])
    frame = silver.with_row_index(ROW_ID).with_columns(
        known_at(source, silver.schema, known).alias("_hr_a"), pl.lit(FOREVER).alias("_hr_death")
    )
    # A transform may move the event time back, but a row is never known before it happened at its source.
    frame = frame.with_columns(pl.max_horizontal(happened, "_hr_a").alias("_hr_from"))
    return normalised(view, run_transform(view, frame))


def known_at(source: Source, schema: pl.Schema, known: Known) -> pl.Expr:
    """When each row was known (a), in microseconds."""
    if source.event_time is None:
        happened = pl.col("_hr_snapshot").dt.epoch("us")
    else:
        happened = microseconds(source.event_time, schema[source.event_time])
    if isinstance(source, SnapshotSource):
        measured = pl.col("_hr_snapshot").dt.epoch("us")
        if source.available_time is not None and known == "then":
            measured = pl.max_horizontal(measured, pl.col("_hr_available").dt.epoch("us"))
        return measured if known == "now" else measured + source.known_after_us
    if known == "now":
        return happened
    return pl.coalesce(pl.col("_hr_available").dt.epoch("us"), happened) + source.known_after_us


def normalised(view: FeatureView, frame: pl.DataFrame) -> Normalised:
    """Add the columns named above, and leave out rows that belong to no entity or have not happened."""
    source = view.source
    frame, dirty = without_non_finite(frame)
    if view.where is not None:
        frame = frame.filter(pl.sql_expr(str(view.where)))
    time = view.time_column
    happened = pl.col("_hr_snapshot").dt.epoch("us") if time is None else microseconds(time, frame.schema[time])
    sequence = pl.col("_hr_position") if isinstance(source, ChangeSource) else (
        pl.col(source.sequence) if source.sequence else pl.lit(None, dtype=pl.Int64)
    )  # fmt: skip
    frame = frame.with_columns(
        *(
            pl.col(column).cast(_key_type(frame.schema[column])).alias(f"_hr_key_{key}")
            for key, column in view.key_columns.items()
        ),
        *(pl.col(column).alias(f"_hr_id_{column}") for column in source.identity),
        happened.alias("_hr_t"),
        sequence.alias("_hr_seq"),
    )
    delta = 0 if source.inclusive else 1
    frame = frame.with_columns((pl.max_horizontal("_hr_t", "_hr_from") + delta).alias("_hr_visible"))
    frame = frame.drop_nulls(["_hr_t", *key_columns(view)])
    return frame.select(*_needed(view, frame.schema)), dirty


def _key_type(dtype: pl.DataType) -> pl.DataType:
    return pl.Int64() if dtype.is_integer() else dtype


def _needed(view: FeatureView, schema: pl.Schema) -> list[str]:
    """Only what features read: columns, and those that their conditions mention."""
    wanted = {feature.column for feature in view.features.values()}
    for feature in view.features.values():
        if feature.where is not None:
            wanted.update(pl.sql_expr(feature.where).meta.root_names())
    inputs = [name for name in schema if name in wanted]
    times = ["_hr_t", "_hr_a", "_hr_seq", *(f"_hr_id_{c}" for c in view.source.identity), "_hr_visible", "_hr_death"]
    return [*key_columns(view), *times, ROW_ID, *(name for name in inputs if name not in times)]
