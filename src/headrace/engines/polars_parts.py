"""What a carry holds of some entities: to go on from it for a few of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Lifetime
from headrace.engines.base import Carry
from headrace.engines.polars_rows import key_columns
from headrace.timeline.aggregates.catalogue import ORDERED
from headrace.timeline.arrays import Ints
from headrace.types import FOREVER

PLACE = "_hr_place"


@dataclass(frozen=True, slots=True)
class CarriedParts:
    """A carry by entity: those that something will still happen to although nothing new arrives.

    Parameters
    ----------
    carry : Carry
        Frames sorted by the places of the entities, with a column `PLACE`.
    weights : int64 array, shape (n_entities,)
        How many pieces of state each entity has: a bound for the steps that are still to come.
    """

    carry: Carry
    weights: Ints

    @classmethod
    def of(cls, view: FeatureView, carry: Carry, entities: pl.DataFrame) -> CarriedParts:
        """What is carried of some entities.

        Parameters
        ----------
        view : FeatureView
            The view.
        carry : Carry
            The carry.
        entities : frame
            The view's keys, and each entity's place from 0 in a column `PLACE`, ascending.
        """
        wanted = _due(view, carry, entities)
        # The log tells what new rows end, and there are none.
        found = _mapped(replace(carry, log=None), lambda frame: _placed(view, frame, wanted))
        return cls(found, _weights(found, len(entities)))

    def part(self, low: int, high: int) -> Carry:
        """What is carried of the entities at the places ``low … high - 1``."""
        return _mapped(self.carry, lambda frame: _between(frame, low, high))


def carried_entities(view: FeatureView, carry: Carry, schema: pl.Schema) -> pl.DataFrame:
    """The keys of every entity that a carry knows, in the types of `schema`."""
    frames = [frame for frame in (carry.rows, carry.seen, *carry.elements.values()) if frame is not None]
    return pl.concat([_keys(view, frame, schema) for frame in frames]).unique()


def begun_at_the_end(view: FeatureView, carry: Carry, schema: pl.Schema) -> pl.DataFrame:
    """The keys of the entities whose newest rows count, or whose rows have ended, only from the carry's instant on.

    So they have no step yet that tells of these rows.
    """
    if carry.rows is None:
        return pl.DataFrame(schema=schema)
    return _keys(view, carry.rows.filter(_pending(view, carry.until)), schema).unique()


def _pending(view: FeatureView, until: int) -> pl.Expr:
    """Rows that begin or end at `until` or later; at a coarse resolution perhaps some more."""
    begins = pl.col("_hr_visible") + (view.resolution_us or 1) > until
    return begins | (pl.col("_hr_death") < FOREVER)


def _keys(view: FeatureView, frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    own = zip(view.entity_keys, key_columns(view), strict=True)
    return frame.select(pl.col(column).cast(schema[key]).alias(key) for key, column in own)


def _mapped(carry: Carry, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Carry:
    """A carry whose frames with entities are changed."""
    rows, seen = (None if frame is None else change(frame) for frame in (carry.rows, carry.seen))
    return replace(carry, rows=rows, seen=seen, elements={n: change(f) for n, f in carry.elements.items()})


def _due(view: FeatureView, carry: Carry, entities: pl.DataFrame) -> pl.DataFrame:
    """Those of the entities that will have another step, their keys named and typed as in the carry."""
    windowed = [each for each in view.features.values() if not isinstance(each.window, Lifetime)]
    if carry.rows is None or any(view.mutable or each.function in ORDERED for each in windowed):
        pending = [] if carry.rows is None else [carry.rows]
    else:
        pending = [carry.rows.filter(_pending(view, carry.until))]
    ends = (pl.col("_hr_end") < FOREVER) | (pl.col("_hr_start") >= carry.until)
    pending += [frame.filter(ends) for frame in carry.elements.values()]
    keys = key_columns(view)
    if not keys:
        return entities if any(map(len, pending)) else entities.clear()
    due = pl.concat([frame.select(keys).unique() for frame in pending], how="vertical_relaxed").unique()
    typed = (pl.col(k).cast(due.schema[c]).alias(c) for k, c in zip(view.entity_keys, keys, strict=True))
    return entities.select(*typed, PLACE).join(due, on=keys, how="semi")


def _placed(view: FeatureView, frame: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows of wanted entities with their places, in the order of these."""
    keys = key_columns(view)
    if not keys:
        return frame.head(len(frame) if len(wanted) else 0).with_columns(pl.lit(0, dtype=pl.Int64).alias(PLACE))
    return frame.join(wanted, on=keys, how="inner").sort(PLACE, maintain_order=True)


def _weights(carry: Carry, n: int) -> Ints:
    frames = [frame for frame in (carry.rows, *carry.elements.values()) if frame is not None]
    return np.asarray(sum((np.bincount(_places(frame), minlength=n) for frame in frames), np.zeros(n, dtype=np.int64)))


def _between(frame: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    first, last = np.searchsorted(_places(frame), (low, high)).tolist()
    return frame[first:last].drop(PLACE)


def _places(frame: pl.DataFrame) -> Ints:
    return frame[PLACE].to_numpy()
