"""Going on with a few entities of many: what a stream does after each of its epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Advanced, Asked, Carry
from headrace.engines.polars import KEPT, Arrived, evaluated
from headrace.engines.polars_rows import ROW_ID, event_rows, key_columns
from headrace.engines.polars_versions import change_rows
from headrace.types import FOREVER

_DEATH, _VISIBLE, _BEFORE = "_hr_death", "_hr_visible", "_hr_before"


@dataclass(frozen=True, slots=True)
class _Split:
    """What is known of the entities that are looked at, and of the others."""

    arrived: Arrived
    carry: Carry | None
    others: Carry | None
    touched: pl.DataFrame


def advanced(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, asked: Asked, *, everyone: bool) -> Advanced:
    """Go on from a carry; see `headrace.engines.base.Engine.advance`."""
    split = (_changed_versions if view.mutable else _touched)(view, silver, carry, everyone=everyone)
    computed = evaluated(view, split.arrived, split.carry, asked)
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
    late = rows.filter(_counted_before(view, carry, _VISIBLE))
    mine, others = (carry, None) if everyone else _by_entity(carry, touched, view)
    if mine.rows is not None:
        kept = mine.rows.with_columns(pl.lit(value=True).alias(KEPT))
        rows = pl.concat([kept, rows], how="vertical_relaxed")
    corrected = _either(_entities(view, late), mine.corrected)
    alone = None if everyone or not view.entity_keys else touched
    return _Split(Arrived(rows, None, None, 0, dirty, corrected, alone), mine, others, touched)


def _changed_versions(view: FeatureView, silver: pl.DataFrame, carry: Carry | None, *, everyone: bool) -> _Split:
    """The entities of rows that are new, or whose end became known."""
    versions = change_rows(view, silver, carry, "then", 0 if carry is None else carry.until)
    rows = versions.rows.with_columns(pl.lit(value=False).alias(KEPT))
    keys = key_columns(view)
    seen = rows.select(keys).unique()
    arrived = Arrived(rows, versions.log, seen, versions.next_row_id, versions.non_finite)
    if carry is None or carry.rows is None or carry.seen is None:
        return _Split(arrived, None, None, _entities(view, rows))
    news = _news(rows, carry.rows, carry.next_row_id)
    wanted, late = _entities(view, news), _entities(view, news.filter(_is_late(view, carry)))
    seen = pl.concat([carry.seen, seen], how="vertical_relaxed").unique()
    if everyone:
        arrived = replace(arrived, seen=seen, corrected=_either(late, carry.corrected))
        return _Split(arrived, replace(carry, elements={}), None, wanted)
    (own, rest), (seen_own, seen_rest) = _parted(rows, wanted, keys), _parted(seen, wanted, keys)
    before, others_before = (None, None) if carry.corrected is None else _parted(carry.corrected, wanted, keys)
    others = Carry(carry.until, rest.drop(KEPT), {}, None, seen_rest, corrected=others_before)
    arrived = replace(arrived, rows=own, seen=seen_own, corrected=_either(late, before))
    return _Split(arrived, Carry(carry.until, seen=seen_own), others, wanted)


def forgotten(view: FeatureView, carry: Carry, entities: pl.DataFrame) -> Carry:
    """A carry of a source that only adds, without some entities; `entities` has the view's keys."""
    own = zip(view.entity_keys, key_columns(view), strict=True)
    _, others = _by_entity(carry, entities.select(pl.col(key).alias(column) for key, column in own), view)
    return others


def _entities(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    """The entities of rows, each once; of a global view one, if there is a row."""
    keys = key_columns(view)
    return rows.select(keys).unique() if keys else rows.select(ROW_ID).head(1)


def _news(rows: pl.DataFrame, before: pl.DataFrame, next_row_id: int) -> pl.DataFrame:
    """The versions of which something is news: new ones, and those with another end than `before`, in `_BEFORE`."""
    new_or_ended = rows.filter((pl.col(ROW_ID) >= next_row_id) | (pl.col(_DEATH) < FOREVER))
    old = before.join(new_or_ended, on=ROW_ID, how="semi").select(ROW_ID, pl.col(_DEATH).alias(_BEFORE)).unique(ROW_ID)
    joined = new_or_ended.join(old, on=ROW_ID, how="left", maintain_order="left")
    return joined.filter((pl.col(ROW_ID) >= next_row_id) | (pl.col(_BEFORE) != pl.col(_DEATH)))


def _is_late(view: FeatureView, carry: Carry) -> pl.Expr:
    """Which versions that are news change what is told of the time before the carry's instant.

    One that had ended before it began is nothing, then and now: unless it has been told of before its end was known.
    """
    counted = pl.col(_VISIBLE) < pl.coalesce(_BEFORE, _DEATH)
    is_new = pl.col(_BEFORE).is_null()
    return counted & _counted_before(view, carry, _VISIBLE) & (is_new | _counted_before(view, carry, _DEATH))


def _counted_before(view: FeatureView, carry: Carry, column: str) -> pl.Expr:
    """Whether a time, at the view's resolution, is before the carry's instant.

    Of that time only what is merged is known: a step there would tell of the new rows alone. So there is none, and
    the entity gets one at the instant itself instead.
    """
    return pl.col(column) <= (carry.until - 1) // (view.resolution_us or 1) * (view.resolution_us or 1)


def _either(one: pl.DataFrame, other: pl.DataFrame | None) -> pl.DataFrame:
    """The entities of both."""
    return one if other is None else pl.concat([one, other], how="vertical_relaxed").unique()


def _by_entity(carry: Carry, wanted: pl.DataFrame, view: FeatureView) -> tuple[Carry, Carry]:
    """What is carried of some entities, and of the others."""
    keys = key_columns(view)
    rows, corrected = (
        (None, None) if frame is None else _parted(frame, wanted, keys) for frame in (carry.rows, carry.corrected)
    )
    elements = {name: _parted(frame, wanted, keys) for name, frame in carry.elements.items()}
    mine, others = (
        replace(carry, rows=rows[i], elements={n: pair[i] for n, pair in elements.items()}, corrected=corrected[i])
        for i in (0, 1)
    )
    return mine, others


def _parted(frame: pl.DataFrame, wanted: pl.DataFrame, keys: list[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of some entities, and the others."""
    if not keys:
        return (frame, frame.clear()) if wanted.height or not frame.height else (frame.clear(), frame)
    typed = wanted.cast({key: frame.schema[key] for key in keys})
    marked = frame.join(typed.with_columns(_hr_wanted=True), on=keys, how="left", maintain_order="left")
    is_wanted = marked["_hr_wanted"].is_not_null()
    return frame.filter(is_wanted), frame.filter(~is_wanted)


def _together(one: Carry, other: Carry) -> Carry:
    """What is carried of both's entities, from the instant of the second on."""
    rows = [frame for frame in (one.rows, other.rows) if frame is not None]
    elements = {
        name: pl.concat([one.elements[name], frame], how="vertical_relaxed") if name in one.elements else frame
        for name, frame in other.elements.items()
    }
    seen = [frame for frame in (one.seen, other.seen) if frame is not None]
    still = [each.corrected for each in (one, other) if each.corrected is not None and each.until == other.until]
    return Carry(
        other.until, pl.concat(rows, how="vertical_relaxed") if rows else None, elements, other.log,
        pl.concat(seen, how="vertical_relaxed").unique() if seen else None, other.next_row_id,
        pl.concat(still, how="vertical_relaxed") if still else None,
    )  # fmt: skip
