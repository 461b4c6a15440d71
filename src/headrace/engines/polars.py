"""The Polars engine: the embedded default.

Polars reads, sorts and filters; the numpy kernels of `headrace.timeline` merge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Carry, Computed, Known
from headrace.engines.polars_carry import as_frame, coded, compacted, concatenated, from_frame, kept_rows
from headrace.engines.polars_features import Plan, Slot, plans
from headrace.engines.polars_rows import event_rows, key_columns, order_columns
from headrace.engines.polars_steps import EVENT_TIME, Block, Counted, Elements, axis_of, counted, evaluate
from headrace.engines.polars_types import to_polars
from headrace.engines.polars_versions import change_rows
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.windows import ceil_to

KEPT = "_hr_kept"
GROUP = "_hr_group"


@dataclass(frozen=True, slots=True)
class PolarsEngine:
    """Computes steps in one process; see `headrace.engines.base.Engine`."""

    def compute(
        self,
        view: FeatureView,
        silver: pl.DataFrame,
        carry: Carry | None,
        since: int,
        until: int,
        *,
        known: Known = "then",
        opening: bool = False,
        steps: bool = True,
    ) -> Computed:
        """Compute the steps of a view within ``[since, until)``; see `Engine.compute`."""
        arrived = _arrived(view, silver, carry, known, since)
        rows = arrived.rows
        features = plans(dict(view.features), rows.schema)
        entities = _entities(view, rows, carry)
        rows, group = _numbered(view, rows, entities)
        block = _block(view, features, rows, group, entities, carry)
        found = _steps(block, features, entities, carry, since, until, opening) if steps else pl.DataFrame()
        return Computed(found, _carried(block, features, entities, arrived, until), arrived.non_finite)


@dataclass(frozen=True, slots=True)
class _Arrived:
    rows: pl.DataFrame
    log: pl.DataFrame | None
    seen: pl.DataFrame | None
    next_row_id: int
    non_finite: dict[str, int]


def _arrived(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, known: Known, since: int) -> _Arrived:
    """The rows that this span looks at: new ones, and those kept from before."""
    if view.mutable:
        versions = change_rows(view, silver, carry, known, since)
        rows = versions.rows.with_columns(pl.lit(value=False).alias(KEPT))
        seen = rows.select(key_columns(view)).unique()
        if carry is not None and carry.seen is not None:
            seen = pl.concat([carry.seen, seen]).unique()
        return _Arrived(rows, versions.log, seen, versions.next_row_id, versions.non_finite)
    rows, dirty = event_rows(view, silver, known)
    rows = rows.with_columns(pl.lit(value=False).alias(KEPT))
    if carry is not None and carry.rows is not None:
        rows = pl.concat([carry.rows.with_columns(pl.lit(value=True).alias(KEPT)), rows], how="vertical_relaxed")
    return _Arrived(rows, None, None, 0, dirty)


def _entities(view: FeatureView, rows: pl.DataFrame, carry: Carry | None) -> pl.DataFrame:
    """The keys of every entity at hand, sorted, one a row: its place is its number."""
    keys = key_columns(view)
    if not keys:
        return pl.DataFrame({GROUP: [0]}, schema={GROUP: pl.Int64})
    frames = [rows.select(keys)]
    if carry is not None:
        frames += [frame.select(keys) for frame in carry.elements.values()]
        frames += [] if carry.seen is None else [carry.seen]
    unique = pl.concat([frame.unique() for frame in frames], how="vertical_relaxed").unique().sort(keys)
    return unique.with_row_index(GROUP).with_columns(pl.col(GROUP).cast(pl.Int64))


def _numbers(frame: pl.DataFrame, entities: pl.DataFrame) -> pl.DataFrame:
    """Add each row's entity by its number."""
    keys = [name for name in entities.columns if name != GROUP]
    if not keys:
        return frame.with_columns(pl.lit(0, dtype=pl.Int64).alias(GROUP))
    return frame.join(entities, on=keys, how="left", maintain_order="left")


def _numbered(view: FeatureView, rows: pl.DataFrame, entities: pl.DataFrame) -> tuple[pl.DataFrame, Ints]:
    """Rows by entity and order, oldest first, nulls before values."""
    ordered = _numbers(rows, entities).sort([GROUP, *order_columns(view)], nulls_last=False, maintain_order=True)
    return ordered.drop(GROUP), ordered[GROUP].to_numpy()


def _block(
    view: FeatureView,
    features: list[Plan],
    rows: pl.DataFrame,
    group: Ints,
    entities: pl.DataFrame,
    carry: Carry | None,
) -> Block:
    slots = {plan.slot for plan in features} | {EVENT_TIME}
    counts = {slot: counted(view, rows, slot) for slot in slots}
    fresh = ~rows[KEPT].to_numpy()
    elements = {}
    for plan in features:
        if not plan.ordered:
            own = _lifted(plan, rows, group, counts[plan.slot], fresh)
            elements[plan.name] = _joined(plan, own, entities, carry)
    picked: dict[Slot, Counted] = {plan.slot: counts[plan.slot] for plan in features if plan.ordered}
    return Block(view, rows, group, elements, picked | {EVENT_TIME: counts[EVENT_TIME]}, len(entities))


def _lifted(plan: Plan, rows: pl.DataFrame, group: Ints, chosen: Counted, fresh: Bools) -> Elements:
    """Each new row of a feature as an element."""
    mine = fresh[chosen.row]
    row = chosen.row[mine]
    column = None if plan.feature.column is None else rows[plan.feature.column].gather(pl.Series(row))
    payload = {} if plan.by_value else plan.aggregate.lift(plan.values(column, len(row)))
    values = column if plan.by_value else None
    return Elements(group[row], chosen.start[mine], chosen.end[mine], payload, values)


def _joined(plan: Plan, own: Elements, entities: pl.DataFrame, carry: Carry | None) -> Elements:
    """The new elements of a feature and the carried ones."""
    frame = None if carry is None else carry.elements.get(plan.name)
    if frame is None or not len(frame):
        return coded(own)
    numbered = _numbers(frame, entities)
    carried = from_frame(numbered.drop(GROUP), numbered[GROUP].to_numpy(), plan.by_value)
    return coded(concatenated(carried, own))


def _steps(
    block: Block,
    features: list[Plan],
    entities: pl.DataFrame,
    carry: Carry | None,
    since: int,
    until: int,
    opening: bool,
) -> pl.DataFrame:
    first = _begun(block, entities, carry, since) if opening else np.zeros(0, dtype=np.int64)
    axis = axis_of(block, since, until, first)
    values = evaluate(block, axis, features)
    times = pl.Series("valid_from", axis.time).cast(pl.Datetime("us", "UTC"))
    keys = _named_keys(block.view, entities[pl.Series(axis.group)])
    return pl.DataFrame([*keys, times, *values])


def _begun(block: Block, entities: pl.DataFrame, carry: Carry | None, since: int) -> Ints:
    """The entities that have had a row before `since`."""
    visible = block.counted[EVENT_TIME]
    begun = block.group[visible.row[visible.start < since]]
    if carry is not None and carry.seen is not None:
        begun = np.concatenate([begun, _numbers(carry.seen, entities)[GROUP].to_numpy()])
    return np.unique(begun)


def _named_keys(view: FeatureView, keys: pl.DataFrame) -> list[pl.Series]:
    types = {key: to_polars(dtype) for key, dtype in view.entity_keys.items()}
    return [keys[f"_hr_key_{key}"].cast(dtype).alias(key) for key, dtype in types.items()]


def _carried(block: Block, features: list[Plan], entities: pl.DataFrame, arrived: _Arrived, until: int) -> Carry:
    """What the next span needs."""
    if block.view.mutable:
        death = block.rows["_hr_death"].to_numpy()
        ended = death if block.view.resolution_us is None else ceil_to(death, block.view.resolution_us)
        alive = block.rows.filter(pl.Series(ended >= until)).drop(KEPT)
        return Carry(until, alive, {}, arrived.log, arrived.seen, arrived.next_row_id)
    keep = pl.Series(kept_rows(block, features, until))
    elements = {
        name: as_frame(compacted(plan, block.elements[name], until), entities.drop(GROUP))
        for name, plan in ((plan.name, plan) for plan in features if not plan.ordered)
    }
    return Carry(until, block.rows.filter(keep).drop(KEPT), elements)
