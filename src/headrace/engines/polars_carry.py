"""What a span leaves to the next: rows that may still be picked, and merged state of what still counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from headrace.engines.polars_features import Plan
from headrace.engines.polars_steps import EVENT_TIME, Block, Counted, Elements
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.axis import Intervals
from headrace.timeline.sorting import together
from headrace.types import FOREVER


def kept_rows(block: Block, plans: list[Plan], until: int) -> Bools:
    """Which rows of a source that only adds may yet be picked after `until`.

    Of the rows that count over the same interval from then on, only the best can win.
    """
    keep = np.zeros(len(block.rows), dtype=bool)
    keep[_best(block, block.counted[EVENT_TIME], until, 1, newest=True)] = True
    for plan in plans:
        if plan.ordered:
            n, newest = plan.feature.n or 1, plan.feature.function != "first"
            keep[_best(block, block.counted[plan.slot], until, n, newest=newest)] = True
    return keep


def _best(block: Block, rows: Counted, until: int, n: int, *, newest: bool) -> Ints:
    alive = rows.when.end >= until  # an end at the instant itself makes a step in the next span
    row, end = rows.row[alive], rows.when.end[alive]
    start = np.maximum(rows.when.start[alive], until - 1)
    common = (start == until - 1) & (end == FOREVER)  # nearly all of most views: one interval, which takes no sorting
    if not common.any() or common.all():
        return _best_of(block, row, start, end, n, newest=newest)
    parts = [_best_of(block, row[some], start[some], end[some], n, newest=newest) for some in (common, ~common)]
    return np.concatenate(parts)


def _best_of(block: Block, row: Ints, start: Ints, end: Ints, n: int, *, newest: bool) -> Ints:
    order = _by_interval(block.group[row], start, end, newest=newest)
    row, start, end = row[order], start[order], end[order]
    group = block.group[row]
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (group[1:] != group[:-1]) | (start[1:] != start[:-1]) | (end[1:] != end[:-1])
    place = np.arange(len(row))
    nth = place - np.maximum.accumulate(np.where(fresh, place, 0))
    return row[nth < n]


def _by_interval(group: Ints, start: Ints, end: Ints, *, newest: bool) -> Ints:
    """The order of rows by entity and interval, the best first; rows come by entity, the oldest first."""
    place = np.arange(len(group))
    if len(group) and (start == start[0]).all() and (end == end[0]).all():  # as those of a lifetime do
        return place[::-1] if newest else place
    return np.lexsort((-place if newest else place, end, start, group))


def compacted(plan: Plan, elements: Elements, until: int) -> Elements:
    """Merge the contributions that count over the same interval after `until` into one each.

    What has begun is remembered as begun just before `until`, so that it makes no step of its own.
    """
    aggregate = plan.aggregate
    alive = elements.when.end >= until
    group, end = elements.when.group[alive], elements.when.end[alive]
    start = np.maximum(elements.when.start[alive], until - 1)
    payload = {name: column[alive] for name, column in elements.payload.items()}
    order, fresh = together([group, start, end, *(payload[name] for name in aggregate.discriminators)])
    into = np.empty(len(order), dtype=np.int64)
    into[order] = np.cumsum(fresh) - 1
    heads = order[fresh]
    kept = {name: payload[name][heads] for name in aggregate.discriminators}
    rest = {name: column for name, column in payload.items() if name not in kept}
    merged = {**kept, **aggregate.compact(rest, into, len(heads))}
    return Elements(Intervals(group[heads], start[heads], end[heads]), merged, elements.values)


def coded(elements: Elements) -> Elements:
    """Values that are compared as whole numbers: places among the sorted different values."""
    if elements.values is None:
        return elements
    different = elements.values.unique().sort()
    codes = elements.values.rank("dense").cast(pl.Int64) - 1
    return replace(elements, payload={"value": codes.to_numpy()}, values=different)


def concatenated(one: Elements, other: Elements) -> Elements:
    """The contributions of both, not yet coded."""
    payload = {name: np.concatenate([one.payload[name], other.payload[name]]) for name in other.payload}
    values = None
    if one.values is not None and other.values is not None:
        values = pl.concat([one.values.alias("value"), other.values.alias("value")], how="vertical")
    group, start, end = (
        np.concatenate([getattr(one.when, name), getattr(other.when, name)]) for name in ("group", "start", "end")
    )
    return Elements(Intervals(group, start, end), payload, values)


def between(elements: Elements | None, low: int, high: int) -> Elements | None:
    """The elements of the entities ``low … high - 1``, numbered from 0; `elements` are sorted by entity."""
    if elements is None:
        return None
    first, last = np.searchsorted(elements.when.group, (low, high)).tolist()
    mine = slice(first, last)
    payload = {name: column[mine] for name, column in elements.payload.items()}
    values = None if elements.values is None else elements.values[mine]
    when = Intervals(elements.when.group[mine] - low, elements.when.start[mine], elements.when.end[mine])
    return Elements(when, payload, values)


def as_frame(elements: Elements, keys: pl.DataFrame) -> pl.DataFrame:
    """Merged state with the entities' keys, one row an entity, in place of their numbers."""
    columns = [pl.Series(name, column) for name, column in elements.payload.items()]
    if elements.values is not None:
        columns = [elements.values.gather(pl.Series(elements.payload["value"])).alias("value")]
    spans = [pl.Series("_hr_start", elements.when.start), pl.Series("_hr_end", elements.when.end)]
    return pl.DataFrame([*keys[pl.Series(elements.when.group)], *spans, *columns])


def from_frame(frame: pl.DataFrame, group: Ints, by_value: bool) -> Elements:
    """The inverse of `as_frame`, the entities numbered anew."""
    names = [] if by_value else [name for name in frame.columns if not name.startswith("_hr_")]
    payload = {name: frame[name].to_numpy() for name in names}
    values = frame["value"] if by_value else None
    return Elements(Intervals(group, frame["_hr_start"].to_numpy(), frame["_hr_end"].to_numpy()), payload, values)
