"""Entities as numbers, and rows in the order of their entities: what everything after relies on."""

from __future__ import annotations

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Carry
from headrace.engines.polars_rows import key_columns, order_columns
from headrace.timeline.arrays import Ints

GROUP = "_hr_group"
_DIGIT = 16


def entities_of(view: FeatureView, rows: pl.DataFrame, carry: Carry | None) -> pl.DataFrame:
    """The keys of every entity at hand, sorted, one a row: its place is its number."""
    keys = key_columns(view)
    if not keys:
        return pl.DataFrame({GROUP: [0]}, schema={GROUP: pl.Int64})
    frames = [rows.select(keys)]
    if carry is not None:
        frames += [frame.select(keys) for frame in carry.elements.values()]
        frames += [] if carry.seen is None else [carry.seen]
    return numbered(pl.concat([frame.unique() for frame in frames], how="vertical_relaxed").unique())


def numbered(entities: pl.DataFrame) -> pl.DataFrame:
    """The keys of entities, each once, sorted, with their numbers."""
    return entities.sort(entities.columns).with_row_index(GROUP).with_columns(pl.col(GROUP).cast(pl.Int64))


def numbers(frame: pl.DataFrame, entities: pl.DataFrame) -> Ints:
    """The number of each row's entity."""
    keys = [name for name in entities.columns if name != GROUP]
    if not keys:
        return np.zeros(len(frame), dtype=np.int64)
    if len(keys) == 1 and (table := _dense_table(entities[keys[0]])) is not None:
        first, numbered = table
        return np.asarray(numbered[frame[keys[0]].to_numpy() - first])
    joined = frame.select(keys).join(entities, on=keys, how="left", maintain_order="left")
    return np.asarray(joined[GROUP].to_numpy(), dtype=np.int64)


def _dense_table(keys: pl.Series) -> tuple[int, Ints] | None:
    """For whole-number keys that lie close together, each key's number: a look-up is faster than a join."""
    if not keys.dtype.is_integer() or not len(keys):
        return None
    values = keys.to_numpy()
    first, last = int(values[0]), int(values[-1])
    if last - first > 8 * len(values) + 1_000_000:
        return None
    table = np.zeros(last - first + 1, dtype=np.int64)
    table[values - first] = np.arange(len(values))
    return first, table


def ordered(view: FeatureView, rows: pl.DataFrame, entities: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Rows by entity and order, oldest first, nulls before values; with each one's entity."""
    group = numbers(rows, entities)
    place = _by_group_and_time(group, rows["_hr_t"].to_numpy(), len(entities))
    place = _ties_resolved(rows, group, place, order_columns(view))
    return rows[pl.Series(place)], group[place]


def _by_group_and_time(group: Ints, time: Ints, n_groups: int) -> Ints:
    """Sort by time, unless it is sorted already, then stably by entity, a digit of 16 bits at a time.

    Numpy sorts 16-bit numbers by counting: two passes over the rows, where comparing would take twenty.
    """
    in_time = bool(np.all(time[1:] >= time[:-1]))
    place = np.arange(len(time)) if in_time else pl.Series(time).arg_sort().to_numpy().astype(np.int64)
    for shift in range(0, max(int(n_groups - 1).bit_length(), 1), _DIGIT):
        digit = ((group[place] >> shift) & (2**_DIGIT - 1)).astype(np.uint16)
        place = place[np.argsort(digit, kind="stable")]
    return place


def _ties_resolved(rows: pl.DataFrame, group: Ints, place: Ints, order: list[str]) -> Ints:
    """Put rows of equal entity and time into their full order."""
    g, t = group[place], rows["_hr_t"].to_numpy()[place]
    same = (g[1:] == g[:-1]) & (t[1:] == t[:-1])
    if not same.any():
        return place
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    among = rows.select(order)[pl.Series(place[tied])].with_columns(pl.Series(GROUP, g[tied]))
    again = among.with_row_index("_hr_place").sort([GROUP, *order], nulls_last=False, maintain_order=True)
    place[tied] = place[tied][again["_hr_place"].to_numpy()]
    return place
