"""For users' own tests: the steps of a view from plain rows, without a project, a lake or a clock.

Rows are a Polars frame or a list of dicts with the source's columns. Those of a change source also have
``_op`` (insert, update, delete or truncate; or Debezium's letters) and ``_known`` (when the change was
known), in the log's order; those of a snapshot source have ``_snapshot`` (the day).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource, Source
from headrace.definitions.views import FeatureView
from headrace.engines.base import Carry, Known
from headrace.engines.polars import PolarsEngine
from headrace.engines.polars_types import polars_schema
from headrace.errors import UnknownNameError
from headrace.types import BEGINNING, DAY, FOREVER, instant

Rows = pl.DataFrame | Sequence[Mapping[str, Any]]
_INSTANT = pl.Datetime("us", "UTC")
_OPS = {"insert": "c", "update": "u", "delete": "d", "truncate": "t", "c": "c", "u": "u", "d": "d", "r": "r", "t": "t"}
_EARLY, _LATE = BEGINNING // 4, FOREVER // 4


def steps(
    view: FeatureView, rows: Rows, *, until: str | int | datetime | None = None, known: Known = "then"
) -> pl.DataFrame:
    """Compute the steps of a view from rows.

    Parameters
    ----------
    view : FeatureView
        The view.
    rows : frame or list of dict
        Its source's rows; see above.
    until : time, optional
        Steps from then on are left out.
    known : str
        ``"then"`` or ``"now"``.

    Returns
    -------
    frame
        The entity's keys, ``valid_from``, ``event_time`` and a column a feature, sorted by keys and time.

    Examples
    --------
    >>> import headrace as hr
    >>> driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
    >>> gps = hr.EventSource("gps", schema={"driver_id": hr.Int64, "ts": hr.Timestamp}, event_time="ts")
    >>> view = hr.FeatureView("pings", entity=driver, source=gps, features={"n": hr.count()})
    >>> found = steps(view, [{"driver_id": 7, "ts": "2026-01-05T08:00:00Z"}])
    >>> value_at(found, {"driver_id": 7}, "2026-01-05T08:00:00Z") is None
    True
    >>> value_at(found, {"driver_id": 7}, "2026-01-05T08:00:00.000001Z")["n"]
    1
    """
    end = _LATE if until is None else instant(until)
    return PolarsEngine().compute(view, silver(view.source, rows), None, _EARLY, end, known=known).steps


def steps_in_partitions(view: FeatureView, rows: Rows, cuts: Sequence[int], *, known: Known = "then") -> pl.DataFrame:
    """The same as `steps`, computed span by span between `cuts` (instants), the state carried over."""
    frame = silver(view.source, rows)
    bounds = [_EARLY, *cuts, _LATE]
    carry: Carry | None = None
    found = []
    for since, until in pairwise(bounds):
        arrived = frame.filter(pl.col("_hr_known").dt.epoch("us").is_between(since, until, closed="left"))
        computed = PolarsEngine().compute(view, arrived, carry, since, until, known=known)
        carry = computed.carry
        found.append(computed.steps)
    return pl.concat(found).sort([*view.entity_keys, "valid_from"])


def value_at(steps: pl.DataFrame, key: Mapping[str, Any], at: str | int | datetime) -> dict[str, Any] | None:
    """The values of one entity at a time, with the step's ``event_time``; None where there is none yet."""
    moment = instant(at)
    conditions = [pl.col(name) == value for name, value in key.items()]
    mine = steps.filter(pl.all_horizontal(pl.col("valid_from").dt.epoch("us") <= moment, *conditions))
    if mine.is_empty():
        return None
    return mine.sort("valid_from").drop("valid_from", *key).row(-1, named=True)


def silver(source: Source, rows: Rows) -> pl.DataFrame:
    """Plain rows as the source's silver table would hold them."""
    frame = _frame(source, rows)
    happened = _happened(source, frame)
    available = pl.col("_known").cast(_INSTANT) if isinstance(source, ChangeSource) else _available(source)
    frame = frame.with_columns(_hr_available=available, _hr_arrived=happened)
    if isinstance(source, ChangeSource):
        place = pl.int_range(pl.len()).cast(pl.String).str.zfill(20)
        frame = frame.with_columns(
            _hr_op=pl.col("_op").replace_strict(_OPS, return_dtype=pl.String), _hr_position=place
        )
    if isinstance(source, SnapshotSource):
        frame = frame.with_columns(_hr_snapshot=_end_of_day(pl.col("_snapshot").cast(pl.Date)))
    return frame.with_columns(_hr_known=_known(source, happened).cast(_INSTANT))


def _frame(source: Source, rows: Rows) -> pl.DataFrame:
    wanted: dict[str, pl.DataType] = dict(polars_schema(source.schema))
    if isinstance(source, ChangeSource):
        wanted |= {"_op": pl.String(), "_known": _INSTANT}
    if isinstance(source, SnapshotSource):
        wanted |= {"_snapshot": pl.Date()}
    if isinstance(rows, pl.DataFrame):
        for name in rows.columns:
            if name not in wanted:
                raise UnknownNameError.of("column", name, wanted, f"source '{source.name}', rows")
        return rows.with_columns(pl.lit(None).alias(n) for n in wanted if n not in rows.columns).select(
            pl.col(name).cast(dtype) for name, dtype in wanted.items()
        )
    parsed = [{name: _parsed(row.get(name), dtype) for name, dtype in wanted.items()} for row in rows]
    return pl.DataFrame(parsed, schema=wanted, orient="row")


def _parsed(value: Any, dtype: pl.DataType) -> Any:
    if value is None or not isinstance(dtype, pl.Datetime) or isinstance(value, datetime):
        return value
    return instant(value)


def _end_of_day(day: pl.Expr) -> pl.Expr:
    return (day.cast(pl.Int64) * DAY + DAY - 1).cast(_INSTANT)


def _happened(source: Source, frame: pl.DataFrame) -> pl.Expr:
    if source.event_time is None:
        return _end_of_day(pl.col("_snapshot").cast(pl.Date))
    column = pl.col(source.event_time)
    return _end_of_day(column) if frame.schema[source.event_time] == pl.Date else column


def _available(source: Source) -> pl.Expr:
    return (
        pl.lit(None, dtype=_INSTANT) if source.available_time is None else pl.col(source.available_time).cast(_INSTANT)
    )


def _known(source: Source, happened: pl.Expr) -> pl.Expr:
    after = source.known_after_us
    if isinstance(source, SnapshotSource):
        return pl.col("_hr_snapshot").dt.epoch("us") + after
    known = pl.coalesce("_hr_available", happened).dt.epoch("us") + after
    return known if isinstance(source, ChangeSource) else pl.max_horizontal(known, happened.dt.epoch("us"))
