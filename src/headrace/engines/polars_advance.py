"""Going on with a few entities of many: what a stream does after each of its epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Advanced, Asked, Carry
from headrace.engines.polars import KEPT, Arrived, evaluated
from headrace.engines.polars_rows import ROW_ID, event_rows, key_columns
from headrace.engines.polars_versions import change_rows

_DEATH, _VISIBLE, _CHANGED = "_hr_death", "_hr_visible", "_hr_changed"


@dataclass(frozen=True, slots=True)
class _Split:
    """What is known of the entities that are looked at, and of the others."""

    arrived: Arrived
    carry: Carry | None
    others: Carry | None
    touched: pl.DataFrame
    is_late: bool = False
    """Whether rows count from an instant before the carry's at which, by the view's resolution, no step can be."""


def advanced(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, asked: Asked, *, everyone: bool) -> Advanced:
    """Go on from a carry; see `headrace.engines.base.Engine.advance`."""
    split = (_changed_versions if view.mutable else _touched)(view, silver, carry, everyone=everyone)
    computed = evaluated(view, split.arrived, split.carry, replace(asked, opening=asked.opening or split.is_late))
    whole = computed.carry if split.others is None else _together(split.others, computed.carry)
    touched = _named(view, split.touched, computed.steps)
    return Advanced(computed.steps, whole, computed.carry.elements, touched, computed.non_finite)


def _named(view: FeatureView, touched: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """The keys of entities under their own names, in the types of steps."""
    if not view.entity_keys:
        return touched
    own = zip(view.entity_keys, key_columns(view), strict=True)
    return touched.select(pl.col(column).cast(steps.schema[key]).alias(key) for key, column in own)


def _touched(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, *, everyone: bool) -> _Split:
    """The entities of new rows."""
    rows, dirty = event_rows(view, silver, "then")
    rows = rows.with_columns(pl.lit(value=False).alias(KEPT))
    touched = _entities(view, rows)
    if carry is None:
        return _Split(Arrived(rows, None, None, 0, dirty), None, None, touched)
    is_late = bool(view.resolution_us and (rows[_VISIBLE] < carry.until).any())
    rows = rows.with_columns(_not_before(_seen_from(view, carry), _VISIBLE))
    mine, others = (carry, None) if everyone else _by_entity(carry, touched, view)
    if mine.rows is not None:
        kept = mine.rows.with_columns(pl.lit(value=True).alias(KEPT))
        rows = pl.concat([kept, rows], how="vertical_relaxed")
    return _Split(Arrived(rows, None, None, 0, dirty), mine, others, touched, is_late)


def _changed_versions(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, *, everyone: bool) -> _Split:
    """The entities of rows that are new, or whose end became known."""
    versions = change_rows(view, silver, carry, "then", 0 if carry is None else carry.until)
    rows = versions.rows.with_columns(pl.lit(value=False).alias(KEPT))
    keys = key_columns(view)
    seen = rows.select(keys).unique()
    arrived = Arrived(rows, versions.log, seen, versions.next_row_id, versions.non_finite)
    if carry is None or carry.rows is None or carry.seen is None:
        return _Split(arrived, None, None, _entities(view, rows))
    rows = _with_changes(rows, carry.rows, carry)
    seen = pl.concat([carry.seen, seen], how="vertical_relaxed").unique()
    news = rows.filter(_CHANGED)
    wanted = _entities(view, news)
    rows = rows.drop(_CHANGED)
    if everyone:
        return _Split(replace(arrived, rows=rows, seen=seen), replace(carry, elements={}), None, wanted)
    (own, rest), (seen_own, seen_rest) = _parted(rows, wanted, keys), _parted(seen, wanted, keys)
    others = Carry(carry.until, rest.drop(KEPT), {}, None, seen_rest)
    return _Split(replace(arrived, rows=own, seen=seen_own), Carry(carry.until, seen=seen_own), others, wanted)


def forgotten(view: FeatureView, carry: Carry, entities: pl.DataFrame) -> Carry:
    """A carry of a source that only adds, without some entities; `entities` has the view's keys."""
    own = zip(view.entity_keys, key_columns(view), strict=True)
    _, others = _by_entity(carry, entities.select(pl.col(key).alias(column) for key, column in own), view)
    return others


def _entities(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    """The entities of rows, each once; of a global view one, if there is a row."""
    keys = key_columns(view)
    return rows.select(keys).unique() if keys else rows.select(ROW_ID).head(1)


def _with_changes(rows: pl.DataFrame, before: pl.DataFrame, carry: Carry) -> pl.DataFrame:
    """Versions, and whether something of each is news; what is news counts from the carry's instant at the earliest."""
    old = before.select(ROW_ID, pl.col(_DEATH).alias("_hr_before"))
    joined = rows.join(old, on=ROW_ID, how="left", maintain_order="left")
    new, ended = pl.col(ROW_ID) >= carry.next_row_id, (pl.col("_hr_before") != pl.col(_DEATH)).fill_null(value=False)
    return joined.with_columns(
        pl.when(new).then(_not_before(carry.until, _VISIBLE)).otherwise(_VISIBLE).alias(_VISIBLE),
        pl.when(ended | new).then(_not_before(carry.until, _DEATH)).otherwise(_DEATH).alias(_DEATH),
        (new | ended).alias(_CHANGED),
    ).drop("_hr_before")


def _seen_from(view: FeatureView, carry: Carry) -> int:
    """From when on news are seen that come late: the carry's instant, or the last before it at which values change."""
    return carry.until - carry.until % (view.resolution_us or 1)


def _not_before(instant: int, column: str) -> pl.Expr:
    """A time, or the instant if it is earlier.

    Of the time before a carry's instant only what is merged is known: a step there would tell of the new rows alone.
    """
    return pl.max_horizontal(column, pl.lit(instant, dtype=pl.Int64)).alias(column)


def _by_entity(carry: Carry, wanted: pl.DataFrame, view: FeatureView) -> tuple[Carry, Carry]:
    """What is carried of some entities, and of the others."""
    keys = key_columns(view)
    rows = (None, None) if carry.rows is None else _parted(carry.rows, wanted, keys)
    elements = {name: _parted(frame, wanted, keys) for name, frame in carry.elements.items()}
    mine = replace(carry, rows=rows[0], elements={name: pair[0] for name, pair in elements.items()})
    return mine, replace(carry, rows=rows[1], elements={name: pair[1] for name, pair in elements.items()})


def _parted(frame: pl.DataFrame, wanted: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of some entities, and the others."""
    if not keys:
        return (frame, frame.clear()) if wanted.height or not frame.height else (frame.clear(), frame)
    typed = wanted.cast({key: frame.schema[key] for key in keys})
    marked = frame.join(typed.with_columns(_hr_wanted=True), on=keys, how="left", maintain_order="left")
    is_wanted = marked["_hr_wanted"].is_not_null()
    return frame.filter(is_wanted), frame.filter(~is_wanted)


def _together(one: Carry, other: Carry) -> Carry:
    """What is carried of both's entities."""
    rows = [frame for frame in (one.rows, other.rows) if frame is not None]
    elements = {
        name: pl.concat([one.elements[name], frame], how="vertical_relaxed") if name in one.elements else frame
        for name, frame in other.elements.items()
    }
    seen = [frame for frame in (one.seen, other.seen) if frame is not None]
    return Carry(
        other.until, pl.concat(rows, how="vertical_relaxed") if rows else None, elements, other.log,
        pl.concat(seen, how="vertical_relaxed").unique() if seen else None, other.next_row_id,
    )  # fmt: skip
