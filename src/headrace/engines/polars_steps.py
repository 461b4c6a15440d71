"""Steps of a block of entities, from rows sorted by entity and order.

`Block` holds what all features share; `Counted` which rows count in a slot, and when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Lifetime
from headrace.engines.polars_features import Plan, Slot
from headrace.errors import OverflowRefusedError
from headrace.timeline.aggregates.ordered import NONE, greatest_rank, greatest_ranks, least_rank
from headrace.timeline.arrays import Bools, Ints, Payload
from headrace.timeline.axis import Intervals, Spans, StepAxis, laid_out
from headrace.timeline.windows import ceil_to, interval

EVENT_TIME = Slot(Lifetime(), None, None)
"""The rows that a step's event time looks at: all live ones."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The rows of a slot and when they count.

    Parameters
    ----------
    row : int64 array
        Indices of rows of the block, ascending.
    when : Intervals
        One for each.
    """

    row: Ints
    when: Intervals


@dataclass(frozen=True, slots=True)
class Elements:
    """Merged contributions of one feature: when they count, and the aggregate's columns.

    Values that are compared rather than added (those of an exact distinct count) are in `values`; the
    payload then holds their codes, places in the sorted `values` once `coded`.
    """

    when: Intervals
    payload: Payload
    values: pl.Series | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the entities ``0 … n_groups - 1``, sorted by (entity, order), and what was carried.

    Parameters
    ----------
    view : FeatureView
        The view.
    rows : frame
        Normalised rows.
    group : int64 array
        The entity of each row.
    elements : mapping of str to Elements
        For each feature that merges, its contributions: carried ones and those of the rows.
    counted : mapping of Slot to Counted
        For each slot, its rows.
    n_groups : int
        How many entities there are.
    """

    view: FeatureView
    rows: pl.DataFrame
    group: Ints
    elements: dict[str, Elements]
    counted: dict[Slot, Counted]
    n_groups: int


def counted(view: FeatureView, rows: pl.DataFrame, group: Ints, slot: Slot) -> Counted:
    """Which rows count in a slot, and when, at the view's resolution."""
    chosen, meets = np.arange(len(rows)), _meets(rows, slot)
    t, visible, death = (rows[name].to_numpy() for name in ("_hr_t", "_hr_visible", "_hr_death"))
    if meets is not None and not meets.all():
        chosen, group, t, visible, death = (column[meets] for column in (chosen, group, t, visible, death))
    start, end = interval(slot.window, t, visible, death, view.source.max_lateness_us)
    ever = start < end  # at a coarse resolution some come and go unseen, but their entity has been seen
    if view.resolution_us is not None:
        start, end = ceil_to(start, view.resolution_us), ceil_to(end, view.resolution_us)
    when = Intervals(group, start, end)
    # Arrays that need no copy are left as they are: what several slots share is laid out once.
    return Counted(chosen, when) if ever.all() else Counted(chosen[ever], when.take(ever))


def _meets(rows: pl.DataFrame, slot: Slot) -> Bools | None:
    """Which rows the slot looks at; None for all."""
    conditions = [] if slot.where is None else [pl.sql_expr(slot.where).fill_null(value=False)]
    if slot.present is not None and rows[slot.present].null_count():
        conditions.append(pl.col(slot.present).is_not_null())
    if not conditions:
        return None
    return rows.select(pl.all_horizontal(conditions).alias("meets"))["meets"].to_numpy()


def evaluate(
    block: Block, plans: Iterable[Plan], since: int, until: int, opening: Ints
) -> tuple[StepAxis, pl.DataFrame]:
    """Every instant in ``[since, until)`` at which some contribution begins or ends, and the values there.

    Parameters
    ----------
    opening : int64 array
        Entities that get a step at `since` besides.

    Returns
    -------
    axis : StepAxis
        The steps.
    values : frame
        For each, the event time of the newest live row and a column a feature.
    """
    slots, names = list(block.counted), list(block.elements)
    intervals = [block.counted[slot].when for slot in slots] + [block.elements[name].when for name in names]
    axis, laid = laid_out(intervals, opening, block.n_groups, since, until)
    spans = dict(zip(slots, laid, strict=False))
    own = dict(zip(names, laid[len(slots) :], strict=True))
    newest = greatest_rank(spans[EVENT_TIME], block.counted[EVENT_TIME].row)
    columns = [_gathered(block.rows["_hr_t"], newest).alias("event_time").cast(pl.Datetime("us", "UTC"))]
    for plan in plans:
        column = _picked(block, spans, plan) if plan.ordered else _merged(block, own[plan.name], plan)
        columns.append(_defaulted(plan, column).alias(plan.name))
    return axis, pl.DataFrame(columns)


def _merged(block: Block, spans: Spans, plan: Plan) -> pl.Series:
    try:
        return plan.column(plan.aggregate.evaluate(spans, block.elements[plan.name].payload))
    except OverflowRefusedError as error:
        raise OverflowRefusedError(f"{block.view.place}, feature '{plan.name}': {error}") from None


def _picked(block: Block, spans: dict[Slot, Spans], plan: Plan) -> pl.Series:
    slot, feature = plan.slot, plan.feature
    ranks, values = block.counted[slot].row, block.rows[str(feature.column)]
    if feature.function == "last_n":
        return _lists(values, greatest_ranks(spans[slot], ranks, feature.n or 1))
    found = (greatest_rank if feature.function == "last" else least_rank)(spans[slot], ranks)
    return _gathered(values, found)


def _gathered(values: pl.Series, rank: Ints) -> pl.Series:
    index = pl.Series(rank).cast(pl.Int64)
    return values.gather(index.set(index == NONE, None))


def _lists(values: pl.Series, ranks: Ints) -> pl.Series:
    """The values of several ranks a step as a list, shorter where there are fewer; null where there is none."""
    held = ranks != NONE
    flat = pl.DataFrame({"step": np.nonzero(held)[0], "value": values.gather(pl.Series(ranks[held]))})
    lists = flat.group_by("step", maintain_order=True).agg("value")
    steps = pl.DataFrame({"step": np.arange(len(ranks))})
    return steps.join(lists, on="step", how="left", maintain_order="left")["value"]


def _defaulted(plan: Plan, column: pl.Series) -> pl.Series:
    default = plan.feature.default
    return column if default is None else column.fill_null(pl.lit(default))
