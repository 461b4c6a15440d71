"""Silver rows as the engine wants them: keys, order, and when each may be seen and has ended.

Headrace's columns of a normalised row, all integers of microseconds where they are times:
``_hr_key_*`` (the entity), ``_hr_t`` (happened), ``_hr_a`` (known), ``_hr_seq``, ``_hr_id_*``
(order among equals), ``_hr_visible`` and ``_hr_death`` (from when, until when it may be seen).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource, Source, as_columns
from headrace.definitions.views import FeatureView
from headrace.engines.base import Carry, Known
from headrace.engines.transforms import run_transform
from headrace.timeline.versions import deaths
from headrace.types import DAY, FOREVER

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


def event_rows(view: FeatureView, silver: pl.DataFrame, known: Known) -> pl.DataFrame:
    """Normalise rows that stay as they are once they happened."""
    source = view.source
    happened = microseconds(str(source.event_time), silver.schema[str(source.event_time)])
    frame = silver.with_row_index(ROW_ID).with_columns(
        _known_at(source, silver.schema, known).alias("_hr_a"), pl.lit(FOREVER).alias("_hr_death")
    )
    # A transform may move the event time back, but a row is never known before it happened at its source.
    frame = frame.with_columns(pl.max_horizontal(happened, "_hr_a").alias("_hr_from"))
    return _normalised(view, run_transform(view, frame))


@dataclass(frozen=True, slots=True)
class Versions:
    """A log of changes, read as versions of rows.

    Parameters
    ----------
    rows : frame
        The normalised versions that are new, and those carried, with their ends as known by now.
    log : frame
        The primary keys of the versions that have not ended.
    next_row_id : int
        The id that the next entry will get.
    """

    rows: pl.DataFrame
    log: pl.DataFrame
    next_row_id: int


def change_rows(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, known: Known) -> Versions:
    """Normalise a log of changes as versions of rows, each with its end."""
    source = cast(ChangeSource | SnapshotSource, view.source)
    next_id = 0 if carry is None else carry.next_row_id
    log = _log(source, silver, known, next_id)
    open_before = carry.log if carry is not None else None
    ended = _with_deaths(source, log, open_before, 0 if source.inclusive else 1, known)
    fresh = log.join(ended.select(ROW_ID, "_hr_death"), on=ROW_ID, how="inner", maintain_order="left")
    fresh = fresh.filter(pl.col("_hr_op").is_in(["c", "u", "r"]))
    rows = _normalised(view, run_transform(view, fresh.with_columns(pl.col("_hr_a").alias("_hr_from"))))
    if carry is not None and carry.rows is not None:
        rows = pl.concat([_updated(carry.rows, ended), rows], how="vertical_relaxed")
    primary = list(as_columns(source.primary_key))
    still = ended.filter((pl.col("_hr_death") == FOREVER) & ~pl.col("_hr_gone")).select(*primary, ROW_ID)
    return Versions(rows, still, next_id + len(log))


def _known_at(source: Source, schema: pl.Schema, known: Known) -> pl.Expr:
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


def _normalised(view: FeatureView, frame: pl.DataFrame) -> pl.DataFrame:
    """Add the columns named above, and leave out rows that belong to no entity or have not happened."""
    source = view.source
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
    return frame.select(*_needed(view, frame.schema))


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


def _log(source: ChangeSource | SnapshotSource, silver: pl.DataFrame, known: Known, first_id: int) -> pl.DataFrame:
    """The log in its order, with when each entry was known; snapshots begin by ending what was before."""
    if isinstance(source, SnapshotSource):
        silver = _snapshots_as_log(silver)
        order = ["_hr_snapshot", "_hr_op"]
    else:
        order = ["_hr_position"]
    frame = silver.sort(order, descending=[False, True][: len(order)], maintain_order=True)
    frame = frame.with_row_index(ROW_ID, offset=first_id).with_columns(pl.col(ROW_ID).cast(pl.Int64))
    return frame.with_columns(_known_at(source, silver.schema, known).alias("_hr_a"))


def _snapshots_as_log(silver: pl.DataFrame) -> pl.DataFrame:
    """Each snapshot as a truncate of the one before, and an insert for each of its rows."""
    rows = silver.with_columns(pl.lit("r").alias("_hr_op"))
    truncates = rows.select("_hr_snapshot").unique().with_columns(pl.lit("t").alias("_hr_op"))
    return pl.concat([rows, truncates], how="diagonal")


def _with_deaths(
    source: ChangeSource | SnapshotSource, log: pl.DataFrame, open_before: pl.DataFrame | None, delta: int, known: Known
) -> pl.DataFrame:
    """For each entry, carried or new: its end, and whether it is itself the end of a row."""
    primary = list(as_columns(source.primary_key))
    entries = log.select(*primary, ROW_ID, known=_end_known(source, known), op="_hr_op")
    if open_before is not None:
        carried = open_before.with_columns(known=pl.lit(0, dtype=pl.Int64), op=pl.lit("r"))
        entries = pl.concat([carried.select(entries.columns), entries], how="vertical_relaxed")
    codes = entries.select(pl.struct(primary).rank("dense").cast(pl.Int64).alias("code"))["code"]
    truncates = (entries["op"] == "t").to_numpy()
    ended = deaths(codes.fill_null(0).to_numpy(), entries["known"].to_numpy(), truncates)
    death = pl.Series(ended)
    death = death.set(death < FOREVER, death.filter(death < FOREVER) + delta) if len(death) else death
    return entries.with_columns(death.alias("_hr_death"), (pl.col("op").is_in(["d", "t"])).alias("_hr_gone"))


def _end_known(source: ChangeSource | SnapshotSource, known: Known) -> pl.Expr:
    """When a reader knew that a predecessor had ended; by today's truth about a table it never was."""
    if known == "now" and isinstance(source, ChangeSource):
        return pl.lit(-FOREVER, dtype=pl.Int64)
    return pl.col("_hr_a")


def _updated(rows: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """Carried rows, with the ends that have become known since."""
    fresh = ended.select(ROW_ID, fresh="_hr_death")
    joined = rows.join(fresh, on=ROW_ID, how="left", maintain_order="left")
    return joined.with_columns(pl.min_horizontal("_hr_death", "fresh").alias("_hr_death")).drop("fresh")
