"""The Polars engine: the embedded default.

Polars reads, sorts and filters; the numpy kernels of `headrace.timeline` merge.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Advanced, Asked, Carry, Computed, Known
from headrace.engines.polars_carry import as_frame, between, coded, compacted, concatenated, from_frame, kept_rows
from headrace.engines.polars_features import Plan, Slot, plans
from headrace.engines.polars_order import GROUP, entities_of, numbered, numbers, ordered
from headrace.engines.polars_rows import event_rows, key_columns
from headrace.engines.polars_steps import EVENT_TIME, Block, Counted, Elements, counted, evaluate
from headrace.engines.polars_types import to_polars
from headrace.engines.polars_versions import change_rows
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.windows import ceil_to
from headrace.types import DataType

KEPT = "_hr_kept"
ROWS_A_PIECE = 300_000


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
        arrived = arrived_rows(view, silver, carry, known, since)
        return evaluated(view, arrived, carry, Asked(since, until, until, opening, steps))

    def advance(
        self,
        view: FeatureView,
        silver: pl.DataFrame,
        carry: Carry | None,
        asked: Asked,
        *,
        everyone: bool = False,
    ) -> Advanced:
        """Go on with what happened to some entities; see `Engine.advance`."""
        from headrace.engines.polars_advance import advanced

        return advanced(view, silver, carry, asked, everyone=everyone)


def evaluated(view: FeatureView, arrived: Arrived, carry: Carry | None, asked: Asked) -> Computed:
    """The steps of all entities that have rows or state at hand."""
    entities = entities_of(view, arrived.rows, carry) if arrived.entities is None else numbered(arrived.entities)
    rows, group = ordered(view, arrived.rows, entities)
    work = _Work(view, plans(dict(view.features), rows.schema), asked)
    corrected = group[:0] if arrived.corrected is None else np.unique(numbers(arrived.corrected, entities))
    pieces = _pieces(work, rows, group, entities, carry, corrected)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, len(pieces))) as threads:
        done = list(threads.map(lambda piece: _computed(work, piece), pieces))
    return Computed(pl.concat([d.steps for d in done]), _carry(work, arrived, done), arrived.non_finite)


@dataclass(frozen=True, slots=True)
class Arrived:
    """The normalised rows that a span looks at, new ones and those kept from before; for logs, what ends them.

    Parameters
    ----------
    rows : frame
        Normalised, with a column `KEPT`.
    log, seen, next_row_id
        As of `Carry`.
    non_finite : mapping of str to int
        NaN and infinite values of the new rows, by column.
    corrected : frame, optional
        The keys of entities that get a step where the span begins, whether something of them begins or ends there
        or not.
    entities : frame, optional
        The keys of all entities that rows and the carry are of, each once, where that is known.
    """

    rows: pl.DataFrame
    log: pl.DataFrame | None
    seen: pl.DataFrame | None
    next_row_id: int
    non_finite: dict[str, int]
    corrected: pl.DataFrame | None = None
    entities: pl.DataFrame | None = None


def arrived_rows(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, known: Known, since: int) -> Arrived:
    """The rows that this span looks at: new ones, and those kept from before."""
    if view.mutable:
        versions = change_rows(view, silver, carry, known, since)
        rows = versions.rows.with_columns(pl.lit(value=False).alias(KEPT))
        seen = rows.select(key_columns(view)).unique()
        if carry is not None and carry.seen is not None:
            seen = pl.concat([carry.seen, seen]).unique()
        return Arrived(rows, versions.log, seen, versions.next_row_id, versions.non_finite)
    rows, dirty = event_rows(view, silver, known)
    rows = rows.with_columns(pl.lit(value=False).alias(KEPT))
    if carry is not None and carry.rows is not None:
        rows = pl.concat([carry.rows.with_columns(pl.lit(value=True).alias(KEPT)), rows], how="vertical_relaxed")
    return Arrived(rows, None, None, 0, dirty)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is asked of every piece."""

    view: FeatureView
    features: list[Plan]
    asked: Asked


@dataclass(frozen=True, slots=True)
class _Piece:
    """Neighbouring entities, numbered from 0, with their rows and carried elements; those seen, and those corrected."""

    entities: pl.DataFrame
    rows: pl.DataFrame
    group: Ints
    carried: dict[str, Elements | None]
    seen: Ints
    corrected: Ints


@dataclass(frozen=True, slots=True)
class _Done:
    steps: pl.DataFrame
    rows: pl.DataFrame
    elements: dict[str, pl.DataFrame]


def _pieces(
    work: _Work, rows: pl.DataFrame, group: Ints, entities: pl.DataFrame, carry: Carry | None, corrected: Ints
) -> list[_Piece]:
    """Cut between entities, into pieces that stay in the processor's cache and keep every core busy."""
    carried = {plan.name: _carried_elements(plan, entities, carry) for plan in work.features if not plan.ordered}
    seen = numbers(carry.seen, entities) if carry is not None and carry.seen is not None else group[:0]
    cuts = group[::ROWS_A_PIECE][1:] if len(group) else group
    bounds = np.unique(np.concatenate([[0], cuts, [len(entities)]]))
    pieces = []
    for low, high in pairwise(bounds.tolist()):
        first, last = np.searchsorted(group, (low, high)).tolist()
        mine = {name: between(elements, low, high) for name, elements in carried.items()}
        pieces.append(_Piece(
            entities[low:high].drop(GROUP), rows[first:last], group[first:last] - low, mine,
            *(some[(some >= low) & (some < high)] - low for some in (seen, corrected)),
        ))  # fmt: skip
    return pieces or [_Piece(entities.drop(GROUP), rows, group, carried, seen, corrected)]


def _carried_elements(plan: Plan, entities: pl.DataFrame, carry: Carry | None) -> Elements | None:
    """The carried elements of a feature, sorted by entity."""
    frame = None if carry is None else carry.elements.get(plan.name)
    if frame is None or not len(frame):
        return None
    group = numbers(frame, entities)
    order = np.argsort(group, kind="stable")
    return from_frame(frame[pl.Series(order)], group[order], plan.by_value)


def _computed(work: _Work, piece: _Piece) -> _Done:
    with np.errstate(over="ignore", invalid="ignore"):  # floats beyond their range become nulls at the end
        block = _block(work, piece)
        steps = _steps(work, piece, block) if work.asked.steps else pl.DataFrame()
        return _Done(steps, *_kept(work, piece, block))


def _block(work: _Work, piece: _Piece) -> Block:
    slots = {plan.slot for plan in work.features} | {EVENT_TIME}
    counts = {slot: counted(work.view, piece.rows, piece.group, slot) for slot in slots}
    fresh = ~piece.rows[KEPT].to_numpy()
    elements = {}
    for plan in work.features:
        if not plan.ordered:
            own = _lifted(plan, piece.rows, counts[plan.slot], fresh)
            carried = piece.carried[plan.name]
            elements[plan.name] = coded(own if carried is None else concatenated(carried, own))
    picked: dict[Slot, Counted] = {plan.slot: counts[plan.slot] for plan in work.features if plan.ordered}
    picked[EVENT_TIME] = counts[EVENT_TIME]
    return Block(work.view, piece.rows, piece.group, elements, picked, max(len(piece.entities), 1))


def _lifted(plan: Plan, rows: pl.DataFrame, chosen: Counted, fresh: Bools) -> Elements:
    """Each new row of a feature as an element."""
    row, when, mine = chosen.row, chosen.when, fresh[chosen.row]
    if not mine.all():
        row, when = row[mine], when.take(mine)
    column = None if plan.feature.column is None else _rows_of(rows[plan.feature.column], row)
    payload = {} if plan.by_value else plan.aggregate.lift(plan.values(column, len(row)))
    values = column if plan.by_value else None
    return Elements(when, payload, values)


def _rows_of(column: pl.Series, row: Ints) -> pl.Series:
    return column if len(row) == len(column) else column.gather(pl.Series(row))


def _steps(work: _Work, piece: _Piece, block: Block) -> pl.DataFrame:
    first = _begun(work, piece, block) if work.asked.opening else piece.corrected
    axis, values = evaluate(block, work.features, work.asked.since, work.asked.horizon, first)
    times = pl.Series("valid_from", axis.time).cast(pl.Datetime("us", "UTC"))
    keys = _named_keys(work.view, piece.entities[pl.Series(axis.group)])
    return pl.DataFrame([*keys, times, *values])


def _begun(work: _Work, piece: _Piece, block: Block) -> Ints:
    """The entities that have had a row before the span."""
    visible = block.counted[EVENT_TIME].when
    begun = visible.group[visible.start < work.asked.since]
    return np.unique(np.concatenate([begun, piece.seen]))


def _named_keys(view: FeatureView, keys: pl.DataFrame) -> list[pl.Series]:
    return [_as_declared(keys[f"_hr_key_{key}"], dtype).alias(key) for key, dtype in view.entity_keys.items()]


def _as_declared(values: pl.Series, dtype: DataType) -> pl.Series:
    """A key in its type; one that its source masks by a keyed hash is text, whatever it was."""
    return values if values.dtype == pl.String else values.cast(to_polars(dtype))


def _kept(work: _Work, piece: _Piece, block: Block) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The rows and the elements that the next span needs."""
    if work.view.mutable:
        death = block.rows["_hr_death"].to_numpy()
        ended = death if work.view.resolution_us is None else ceil_to(death, work.view.resolution_us)
        return block.rows.filter(pl.Series(ended >= work.asked.until)).drop(KEPT), {}
    keep = pl.Series(kept_rows(block, work.features, work.asked.until))
    elements = {
        plan.name: as_frame(compacted(plan, block.elements[plan.name], work.asked.until), piece.entities)
        for plan in work.features
        if not plan.ordered
    }
    return block.rows.filter(keep).drop(KEPT), elements


def _carry(work: _Work, arrived: Arrived, done: list[_Done]) -> Carry:
    """What the next span needs, of all pieces."""
    rows = pl.concat([d.rows for d in done])
    elements = {name: pl.concat([d.elements[name] for d in done]) for name in done[0].elements}
    corrected = arrived.corrected if work.asked.until == work.asked.since else None
    return Carry(work.asked.until, rows, elements, arrived.log, arrived.seen, arrived.next_row_id, corrected)
