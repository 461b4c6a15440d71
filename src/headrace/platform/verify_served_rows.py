"""Rows of the log of what was served, as values of a view at points of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView, Selection
from headrace.engines.polars_types import to_polars
from headrace.errors import UnknownNameError
from headrace.lake.reading import collect
from headrace.platform.masked_keys import key_masks
from headrace.platform.pinned import resolved
from headrace.platform.served_log_frames import (
    ANSWERED,
    AT,
    LOST,
    OWN,
    PRESENT_TIME,
    REQUEST,
    STATUS,
    event_time_column,
    version_column,
)  # fmt: skip
from headrace.platform.served_log_tables import tables_of
from headrace.platform.verify_served_clock import OFFSET, with_offsets
from headrace.platform.verify_values import NOTHING, Points, Values
from headrace.quality.base import UTC
from headrace.timeline.packed import STATUSES
from headrace.types import DataType

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.timeline.arrays import Ints

NUMBER, FINGERPRINT, FRONTIER, EVENT_TIME, AT_US = "number", "fingerprint", "frontier", "event_time", "at_us"
ON_DEMAND, GONE, MASKED = "made at the request's time", "of a view that is no more", "of keys that are masked now"
_SHARES: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Asking:
    """Which part of the log is read.

    Parameters
    ----------
    start, end : int or None
        Answers from and before, in microseconds UTC.
    share : float
        Of requests, chosen by their ids.
    """

    start: int | None
    end: int | None
    share: float

    def of(self, log: pl.LazyFrame) -> pl.LazyFrame:
        """That part of a log."""
        for at, condition in ((self.start, pl.col(ANSWERED).ge), (self.end, pl.col(ANSWERED).lt)):
            if at is not None:
                log = log.filter(condition(pl.lit(at).cast(UTC)))
        if self.share < 1:
            chosen = pl.col(REQUEST).hash(0) % _SHARES < round(self.share * _SHARES)
            log = log.filter(pl.col(LOST).is_not_null() | chosen)
        return log


@dataclass(frozen=True, slots=True)
class ServedRows:
    """What was served of some features of one view.

    Parameters
    ----------
    service : str
        The service.
    chosen : Selection
        The view, as the service reads it, and the features that were served.
    points : Points
        For whom, and when: the time of the request by a clock that is right.
    found : Values
        What was served.
    told : frame
        A row a point: the log's own columns, and `NUMBER`, `FINGERPRINT`, `FRONTIER`, `EVENT_TIME` of the view, and
        `AT_US`: the time that the answer was made for, by the worker's clock.
    """

    service: str
    chosen: Selection
    points: Points
    found: Values
    told: pl.DataFrame

    def take(self, place: Ints) -> ServedRows:
        """Some of them, with no other entities than theirs."""
        points, entities = self.points.take(place), self.points.entities
        if entities.columns:
            own, entity = np.unique(points.entity, return_inverse=True)
            points = Points(entities[pl.Series(own)], entity.astype(np.int64), points.time)
        return replace(self, points=points, found=self.found.take(place), told=self.told[pl.Series(place)])

    def compared_view(self) -> FeatureView:
        """The view with none but the served features: what values are compared by."""
        features = {name: self.chosen.view.features[name] for name in self.chosen.feature_names}
        return replace(self.chosen.view, features=features, checks=())


def read_logs(context: Context, service: str, asking: Asking) -> Iterator[pl.DataFrame]:
    """The rows of a service's log, a frame a table."""
    for table in tables_of(context.lake, service):
        version = table.version()
        frame = collect(asking.of(table.scan(version)), table, version)
        if len(frame):
            yield with_offsets(frame)


def lost_of(log: pl.DataFrame) -> int:
    """How many requests the log says are missing."""
    return int(log[LOST].sum() or 0)


def views_of(context: Context, service: str, log: pl.DataFrame) -> Iterator[ServedRows | tuple[str, int]]:
    """What was served, view by view; for what can't be compared the reason and the number of values."""
    there = log.filter(pl.col(LOST).is_null())
    columns = [name.removesuffix(STATUS) for name in there.columns if name.endswith(STATUS)]
    left = set(columns)
    for chosen in _selections(context, service, columns):
        names = [f for f in chosen.feature_names if chosen.columns[f] in left and f in chosen.view.features]
        left -= {chosen.columns[name] for name in names}
        if names:
            yield _rows(service, replace(chosen, names=tuple(names)), there)
    for column in sorted(left):
        reason = ON_DEMAND if column.partition("__")[0] in context.definitions.on_demand else GONE
        yield reason, int(there[column + STATUS].count())


def _selections(context: Context, service: str, columns: list[str]) -> list[Selection]:
    """How the columns are read from views: as the service says, else by the names of views."""
    try:
        found = list(resolved(context, context.definitions.service(service)).read_selections)
    except UnknownNameError:
        found = []
    known = {chosen.name for chosen in found}
    prefixes = dict.fromkeys(column.partition("__")[0] for column in columns)
    views = context.definitions.views
    more = [Selection(views[prefix]) for prefix in prefixes if prefix in views]
    return [*(replace(chosen, names=()) for chosen in found), *(each for each in more if each.name not in known)]


def _rows(service: str, chosen: Selection, log: pl.DataFrame) -> ServedRows | tuple[str, int]:
    statuses = [chosen.columns[name] + STATUS for name in chosen.feature_names]
    here = log.filter(pl.any_horizontal(pl.col(statuses).is_not_null()), pl.col(PRESENT_TIME))
    keys = _keys(chosen, here)
    if keys is None:
        return MASKED, len(here) * len(statuses)
    frame = here.select(pl.col(chosen.columns[name]).alias(name) for name in chosen.feature_names)
    codes = np.column_stack([_codes(here[name]) for name in statuses])
    time = here[AT].dt.epoch("us").to_numpy() - here[OFFSET].to_numpy()
    return ServedRows(service, chosen, _points(keys, time), Values(frame, codes), _told(chosen, here))


def _codes(column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    codes = column.replace_strict(list(STATUSES), list(range(len(STATUSES))), default=NOTHING, return_dtype=pl.UInt8)
    return codes.fill_null(NOTHING).to_numpy()


def _keys(chosen: Selection, log: pl.DataFrame) -> pl.DataFrame | None:
    """The entities' keys, as tables hold them; None where the log holds others."""
    masks, found = key_masks(chosen.view), []
    for key, column in chosen.key_columns.items():
        own = chosen.view.entity_keys[key]
        is_text = key in masks and masks[key].method == "hmac"
        wanted = to_polars(DataType("String") if is_text else own)
        if column not in log.columns or ((is_text or log.schema[column] == pl.String) and log.schema[column] != wanted):
            return None
        found.append(log[column].cast(wanted, strict=False).alias(key))
    return pl.DataFrame(found)


def _points(keys: pl.DataFrame, time: Ints) -> Points:
    if not keys.columns:
        return Points(keys, np.zeros(len(time), dtype=np.int64), time)
    entities = keys.unique(maintain_order=True)
    numbered = entities.with_row_index("_hr_entity")
    place = keys.join(numbered, on=keys.columns, how="left", nulls_equal=True, maintain_order="left")["_hr_entity"]
    return Points(entities, place.cast(pl.Int64).to_numpy(), time)


def _told(chosen: Selection, log: pl.DataFrame) -> pl.DataFrame:
    names = {what: version_column(chosen.reference, what) for what in (NUMBER, FINGERPRINT, FRONTIER)}
    names[EVENT_TIME] = event_time_column(chosen.name)
    types = {NUMBER: pl.Int64(), FINGERPRINT: pl.String(), FRONTIER: UTC, EVENT_TIME: UTC}
    own = [
        pl.col(column).alias(what) if column in log.columns else pl.lit(None, dtype=types[what]).alias(what)
        for what, column in names.items()
    ]
    return log.select(*OWN.names(), OFFSET, pl.col(AT).dt.epoch("us").alias(AT_US), *own)
