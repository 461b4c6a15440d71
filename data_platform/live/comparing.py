"""What is served, beside what the batch kernel computes from the very records that were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from data_platform.live.producing import Producer
from data_platform.live.truth import Sent
from headrace import FeatureService, Platform
from headrace.testing import steps

if TYPE_CHECKING:
    from headrace import FeatureView

LATER_SECONDS: Final = (0, 60, 300, 960)
"""Now, and when windows have moved on or emptied: the store has what is scheduled."""
_CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found for a view.

    Parameters
    ----------
    view : str
        The view.
    entities : int
        Of which values were compared: all that were ever sent.
    values : int
        How many values.
    present : int
        How many of them are there.
    different : int
        How many differ.
    """

    view: str
    entities: int
    values: int
    present: int
    different: int


def compare(platform: Platform, producer: Producer, at_us: int) -> list[Compared]:
    """Compare every entity of every streamed view.

    Parameters
    ----------
    platform : Platform
        The project.
    producer : Producer
        What was sent; the streams have read all of it.
    at_us : int
        The time at which values are compared, and from which `LATER_SECONDS` are counted.
    """
    rows = {"gps": Sent.by(producer, "gps").pings(), "rides": Sent.by(producer, "rides").changes()}
    views = [view for view in platform.definitions.views.values() if view.source.name in rows]
    return [_compare(platform, view, rows[view.source.name], at_us) for view in views]


def _compare(platform: Platform, view: FeatureView, rows: pl.DataFrame, at_us: int) -> Compared:
    computed = steps(view, rows)
    entities = computed.select(*view.entity_keys).unique().sort(pl.all())
    wanted, served = [], []
    for later in LATER_SECONDS:
        at = at_us + later * 1_000_000
        wanted.append(_in_force(view, computed, entities, at))
        served.append(_served(platform, view, entities, at))
    one, other = pl.concat(wanted), pl.concat(served)
    different = sum(int(_apart(one[name], other[name]).sum()) for name in view.features)
    present = sum(other[name].count() for name in view.features)
    return Compared(view.name, len(entities), one.height * len(view.features), present, different)


def _in_force(view: FeatureView, computed: pl.DataFrame, entities: pl.DataFrame, at: int) -> pl.DataFrame:
    """The values that the steps say, aged by the view's ttl."""
    keys = list(view.entity_keys)
    known = computed.filter(pl.col("valid_from").dt.epoch("us") <= at).sort("valid_from")
    newest = entities.join(known.group_by(keys).last(), on=keys, how="left", maintain_order="left")
    if view.ttl_us is None:
        return newest.select(*view.features)
    is_young = (at - pl.col("event_time").dt.epoch("us") <= view.ttl_us).fill_null(value=True)
    aged = [pl.when(is_young).then(pl.col(name)).alias(name) for name, made in view.features.items() if made.ages]
    return newest.with_columns(aged).select(*view.features)


def _served(platform: Platform, view: FeatureView, entities: pl.DataFrame, at: int) -> pl.DataFrame:
    answer = platform.online(FeatureService(f"all_of_{view.name}", features=[view]), entities, at=at).to_frame()
    return answer.select(pl.col(f"{view.name}__{name}").alias(name) for name in view.features)


def _apart(one: pl.Series, other: pl.Series) -> pl.Series:
    """Where two values differ; means agree to nine digits, as their sums are merged in another order."""
    if not one.dtype.is_float():
        return one.ne_missing(other)
    differs = ((one - other).abs() > _CLOSE * (1 + one.abs())).fill_null(value=False)
    return differs | (one.is_null() != other.is_null())
