"""What the online store holds of a publication: for each entity, its steps from shortly before the frontier on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from headrace.engines.polars_parts import PLACE, carried_entities
from headrace.engines.polars_types import from_polars
from headrace.engines.transforms import run_transform
from headrace.lake.reading import collect
from headrace.online.expiry import EVENT_TIME, KEPT_BEFORE, TIME, expiries
from headrace.online.packing_keys import record_keys
from headrace.online.packing_tiles import pack_shorter
from headrace.platform.carries import carry_at
from headrace.platform.gold import silver_table
from headrace.platform.lookup import Question, steps_in_force
from headrace.platform.scheduled import Schedule
from headrace.timeline.packed_layouts import layout_of, tiles_since

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.engines.base import Carry
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.timeline.packed import Layout

ENTITIES_AT_ONCE = 1_000_000


class Chunk(NamedTuple):
    """The records of some entities.

    Parameters
    ----------
    fingerprint : str
        That of the view's definition.
    entities : frame
        Their keys.
    bodies : list of (bytes, int, bytes)
        For each entity that has a step, and whose record would not have expired: its key in the store, and the kind
        and the bytes of a layer. Sorted by the keys.
    expires : mapping of bytes to int or None
        When the store may forget each of them, in microseconds; None for never.
    """

    fingerprint: str
    entities: pl.DataFrame
    bodies: list[tuple[bytes, int, bytes]]
    expires: Mapping[bytes, int] | None

    def keys(self) -> list[bytes]:
        """The keys of all of the entities in the store."""
        return _keys(self.fingerprint, self.entities)


@dataclass(frozen=True, slots=True)
class Content:
    """The records of one version of a view's gold.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        The view's table, pinned.
    carry : Carry
        What is carried at the frontier.
    no_rows : frame
        Rows of silver, none.
    layout : Layout
        What a record holds.
    schema : Schema
        The key columns and their types.
    """

    context: Context
    gold: Gold
    carry: Carry
    no_rows: pl.DataFrame
    layout: Layout
    schema: pl.Schema

    @classmethod
    def of(cls, context: Context, gold: Gold) -> Content:
        """Read what is needed at once."""
        silver = silver_table(context.lake, gold.view.source)
        no_rows = silver.scan().head(0).collect()
        columns = gold.table.schema()
        keys = pl.Schema({key: columns[key] for key in gold.view.entity_keys})
        return cls(context, gold, frontier_carry(context, gold), no_rows, record_layout(gold.view, no_rows), keys)

    @property
    def frontier(self) -> int:
        """Through when steps are computed, in microseconds."""
        return self.carry.until

    @property
    def cut(self) -> int:
        """A record holds the step in force then, and all later ones."""
        return min(self.context.clock(), self.frontier) - KEPT_BEFORE

    @property
    def columns(self) -> list[str]:
        """What is read of a step."""
        return [TIME, EVENT_TIME, *(field.name for field in self.layout.fields)]

    def entities(self) -> pl.DataFrame:
        """The keys of every entity that has a step, or will have one."""
        if not self.schema:
            return pl.DataFrame()
        keys = self.gold.scan().select(self.schema.names()).unique()
        held = collect(keys, self.gold.table, self.gold.version, engine="streaming")
        return pl.concat([held, carried_entities(self.gold.view, self.carry, self.schema)]).unique()

    def chunks(self, entities: pl.DataFrame) -> Iterator[Chunk]:
        """The records of some entities, some at a time.

        Parameters
        ----------
        entities : frame
            Their keys, each once; without columns for a global view.
        """
        ordered = entities.sort(self.schema.names()) if self.schema else entities
        n = len(ordered) if self.schema else 1
        for low in range(0, n, ENTITIES_AT_ONCE):
            some = ordered[low : low + ENTITIES_AT_ONCE]
            yield from self._chunks(some, min(n - low, ENTITIES_AT_ONCE))

    def steps(self) -> Iterator[tuple[pl.DataFrame, Mapping[str, pl.DataFrame]]]:
        """The steps of all entities from the cut on, some entities at a time, and what is carried of these."""
        entities = self.entities()
        for _, steps, elements, _ in self._stepped(entities, len(entities) if self.schema else 1):
            yield steps, elements

    def _chunks(self, entities: pl.DataFrame, n: int) -> Iterator[Chunk]:
        for some, steps, elements, cut in self._stepped(entities, n):
            yield self._packed(some, steps, elements, cut)

    def _stepped(
        self, entities: pl.DataFrame, n: int
    ) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, Mapping[str, pl.DataFrame], int]]:
        numbered = pl.DataFrame([*entities.get_columns(), pl.int_range(n, dtype=pl.Int64, eager=True).alias(PLACE)])
        schedule = Schedule.of(self.gold, self.context.engine, self.carry, numbered, self.no_rows)
        cut = self.cut
        in_force, later = self._in_force(entities, n, cut), self._later(numbered, cut)
        place = later[PLACE].to_numpy()
        for low, high in schedule.chunks():
            first, last = np.searchsorted(place, (low, high)).tolist()
            scheduled, elements = schedule.steps(low, high)
            parts = [in_force[low:high].drop_nulls(TIME), later[first:last].drop(PLACE)]
            steps = _together(parts if scheduled is None else [*parts, scheduled], [*self.schema, *self.columns])
            yield entities[low:high], steps, elements, cut

    def _packed(
        self, entities: pl.DataFrame, steps: pl.DataFrame, elements: Mapping[str, pl.DataFrame], cut: int
    ) -> Chunk:
        fingerprint, keys = self.gold.fingerprint, self.schema.names()
        since, cut_off = tiles_since(self.gold.view, self.frontier), steps[TIME].dt.epoch("us") <= cut
        packed = pack_shorter(fingerprint, self.layout, keys, steps, elements, since, cut_off)
        expires, now = self._expires(steps), self.context.clock()
        bodies = [*packed] if expires is None else [each for each in packed if expires[each[0]] > now]
        if self.layout.tile_sets:  # then the two kinds come one after the other
            bodies.sort()
        return Chunk(fingerprint, entities, bodies, expires)

    def _in_force(self, entities: pl.DataFrame, n: int, cut: int) -> pl.DataFrame:
        """For each entity the step in force at the cut; null where there is none."""
        question = Question(entities, np.full(n, cut))
        found, _ = steps_in_force(self.gold.table, self.gold.version, question, self.columns)
        return pl.DataFrame([*entities.get_columns(), *found.get_columns()])

    def _later(self, numbered: pl.DataFrame, cut: int) -> pl.DataFrame:
        """The steps between the cut and the frontier, in the order of the entities."""
        keys, time = self.schema.names(), pl.col(TIME).dt.epoch("us")
        instant = pl.Datetime("us", "UTC")
        after = (pl.col(TIME) > pl.lit(cut).cast(instant)) & (pl.col(TIME) < pl.lit(self.frontier).cast(instant))
        scan = self.gold.scan().filter(after).select(*keys, *self.columns)
        found = collect(scan, self.gold.table, self.gold.version)
        if keys:
            found = found.join(numbered, on=keys, how="inner")
        else:
            found = found.with_columns(pl.lit(0, dtype=pl.Int64).alias(PLACE))
        return found.sort(PLACE, time)

    def _expires(self, steps: pl.DataFrame) -> Mapping[bytes, int] | None:
        ends = expiries(self.gold.view, steps)
        if ends is None:
            return None
        keys, last = self.schema.names(), steps.with_columns(pl.Series("_hr_expires", ends))
        last = last.unique(keys, keep="last", maintain_order=True) if keys else last.tail(1)
        behind = max(0, self.context.clock() - self.frontier)  # of a history, the store keeps what was alive at its end
        when = (last["_hr_expires"] + behind).to_list()
        return dict(zip(_keys(self.gold.fingerprint, last.select(keys)), when, strict=False))


def frontier_carry(context: Context, gold: Gold) -> Carry:
    """What is carried at the frontier of a version of gold.

    Notes
    -----
    Computed from the version of silver that the last part of the covered time was computed from.
    """
    newest = gold.segments()[-1]
    carry = carry_at(context, gold, newest.until, newest.silver_version)
    if carry is None:
        raise AssertionError("a frontier lies behind some span")
    return carry


def record_layout(view: FeatureView, no_rows: pl.DataFrame) -> Layout:
    """The layout of a view's records; `no_rows` has the columns of silver."""
    if view.transform is None:
        return layout_of(view)
    made = run_transform(view, no_rows).schema
    used = {feature.column for feature in view.features.values()}
    return layout_of(view, {name: from_polars(dtype) for name, dtype in made.items() if name in used})


def _together(parts: list[pl.DataFrame], columns: list[str]) -> pl.DataFrame:
    """Steps by entity and time."""
    filled = [part.select(columns) for part in parts if len(part)]
    if not filled:
        return parts[0].select(columns)
    keys_and_time = columns[: columns.index(TIME) + 1]
    return filled[0] if len(filled) == 1 else pl.concat(filled).sort(keys_and_time)


def _keys(fingerprint: str, entities: pl.DataFrame) -> list[bytes]:
    return [key for key in record_keys(fingerprint, entities) if key is not None]
