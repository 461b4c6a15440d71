"""When rows happened, and when they were known: design of the event-time and available-time columns.

A row happens at ``t`` and is known at ``a``; it counts from ``k``. For events k = max(t, a) with
a = (measured, else t) + known_after. For changes k = a + known_after, a being the connector's time.
For snapshots k = max(measured, the snapshot's time) + known_after.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource, Source
from headrace.quality.base import AVAILABLE, KNOWN, SNAPSHOT, TIME, UTC
from headrace.types import DAY, MICROSECOND


def end_of_day(day: date, timezone: str | None) -> datetime:
    """The last microsecond of a day in a zone (UTC by default), in UTC."""
    return pl.select(_end_of_day(pl.lit(day), timezone)).item()  # type: ignore[no-any-return]


def start_of_day(column: pl.Expr, timezone: str | None) -> pl.Expr:
    """The first instant of each day in a zone (UTC by default), in UTC."""
    midnight = column.cast(pl.Datetime("us"))
    if timezone is None:
        return midnight.dt.replace_time_zone("UTC")
    first = midnight.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    later = midnight.dt.offset_by("1h").dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return pl.coalesce(first, later).dt.convert_time_zone("UTC")


def _end_of_day(column: pl.Expr, timezone: str | None) -> pl.Expr:
    return start_of_day(column + pl.duration(days=1), timezone) - pl.duration(microseconds=MICROSECOND)


def with_times(frame: pl.DataFrame, source: Source, snapshot: date | None) -> pl.DataFrame:
    """Add when each row happened (`TIME`), was measured to be known (`AVAILABLE`), and its snapshot's time.

    Parameters
    ----------
    frame : polars.DataFrame
        Typed rows; from change envelopes with `AVAILABLE`.
    source : Source
        Names the columns.
    snapshot : date, optional
        The day of the file, for snapshot sources.
    """
    taken = None if snapshot is None else end_of_day(snapshot, source.timezone)
    frame = frame.with_columns(pl.lit(taken, dtype=UTC).alias(SNAPSHOT))
    happened = pl.col(SNAPSHOT) if source.event_time is None else _instants(source, source.event_time)
    measured = pl.col(AVAILABLE) if AVAILABLE in frame.columns else pl.lit(None, dtype=UTC)
    if source.available_time is not None:
        measured = _instants(source, source.available_time)
    return frame.with_columns(happened.alias(TIME), measured.alias(AVAILABLE))


def _instants(source: Source, column: str) -> pl.Expr:
    values = pl.col(column)
    return _end_of_day(values, source.timezone) if source.schema[column].name == "Date" else values


def with_known(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Add when each row counts from (`KNOWN`)."""
    later = pl.duration(microseconds=source.known_after_us)
    if isinstance(source, ChangeSource):
        known = pl.col(AVAILABLE) + later
    elif isinstance(source, SnapshotSource):
        known = pl.max_horizontal(AVAILABLE, SNAPSHOT) + later
    else:
        known = pl.max_horizontal(TIME, pl.coalesce(AVAILABLE, TIME) + later)
    return frame.with_columns(known.alias(KNOWN))


def late_rows(frame: pl.DataFrame, source: Source) -> int:
    """How many rows were known later after they happened than the source's ``max_lateness``."""
    allowed = timedelta(microseconds=source.max_lateness_us + source.known_after_us)
    return frame.select((pl.col(KNOWN) - pl.col(TIME) > allowed).sum()).item() or 0


def days_around(frame: pl.DataFrame, within_us: int) -> tuple[date, date]:
    """The days on which copies of these rows may be known."""
    low, high = frame[KNOWN].min(), frame[KNOWN].max()
    assert isinstance(low, datetime) and isinstance(high, datetime)  # noqa: PT018 - both at once
    span = timedelta(microseconds=min(within_us, 36_500 * DAY))
    return _day(low, -span), _day(high, span)


def _day(moment: datetime, by: timedelta) -> date:
    try:
        return (moment + by).date()
    except OverflowError:
        return date.min if by < timedelta() else date.max
