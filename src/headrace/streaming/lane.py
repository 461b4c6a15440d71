"""One view of a stream: what is remembered of its entities, and what each epoch makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.base import Advanced, Asked, Carry, Engine
from headrace.engines.polars_advance import forgotten
from headrace.online.base import Stamp
from headrace.online.expiry import EVENT_TIME, KEPT_BEFORE, TIME, expiries
from headrace.online.packing_keys import record_keys
from headrace.online.packing_tiles import pack_shorter
from headrace.online.records import first_layers
from headrace.timeline.packed import Layout
from headrace.timeline.packed_layouts import tiles_since
from headrace.types import BEGINNING, FOREVER, SECOND

CUT_OFF: Final = "_hr_cut"
"""Whether a record leaves out steps that came before its first one."""
PAST_EVERY: Final = 20 * SECOND
"""Of the last minute a record keeps one step in so long: a past time is answered by the one in force shortly before."""
_FAR: Final = FOREVER // 4
Items = Iterator[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Lane:
    """What a stream remembers of a view.

    Parameters
    ----------
    view : FeatureView
        The view.
    fingerprint : str
        That of its definition.
    layout : Layout
        What its records hold.
    generation : int
        Of its records.
    carry : Carry, optional
        What still counts, as of the last epoch's cut.
    written : frame, optional
        The steps in each entity's record: keys, times, values and `CUT_OFF`.
    floor : int
        Rows that count earlier are in the state that it was loaded from already.
    publication : int
        The number of the publication that it was loaded from; 0 for none.
    paused : bool
        Whether the view is held: then it stays as it was published, until its release.
    """

    view: FeatureView
    fingerprint: str
    layout: Layout
    generation: int
    carry: Carry | None = None
    written: pl.DataFrame | None = None
    floor: int = BEGINNING
    publication: int = 0
    paused: bool = False

    @property
    def keys(self) -> list[str]:
        """The names of the entity's keys."""
        return list(self.view.entity_keys)

    @property
    def state_bytes(self) -> int:
        """What it takes in memory."""
        return sum(int(frame.estimated_size()) for frame in self.frames().values())

    def frames(self) -> dict[str, pl.DataFrame]:
        """All that is remembered, by name."""
        found: dict[str, pl.DataFrame | None] = {"written": self.written}
        if self.carry is not None:
            found |= {"rows": self.carry.rows, "log": self.carry.log, "seen": self.carry.seen}
            found |= {f"element-{name}": frame for name, frame in self.carry.elements.items()}
        return {name: frame for name, frame in found.items() if frame is not None}

    def note(self) -> dict[str, object]:
        """What else has to be known to go on from its frames."""
        carried = {} if self.carry is None else {"until": self.carry.until, "next_row_id": self.carry.next_row_id}
        return {
            "fingerprint": self.fingerprint, "generation": self.generation, "floor": self.floor,
            "publication": self.publication, "paused": self.paused, **carried,
        }  # fmt: skip

    def restored(self, frames: Mapping[str, pl.DataFrame], note: Mapping[str, int]) -> Lane:
        """The inverse of `frames` and `note`."""
        elements = {name[8:]: frame for name, frame in frames.items() if name.startswith("element-")}
        carry = None
        if "until" in note:
            carry = Carry(
                note["until"], frames.get("rows"), elements, frames.get("log"), frames.get("seen"), note["next_row_id"]
            )
        return replace(
            self, carry=carry, written=frames.get("written"), generation=note["generation"], floor=note["floor"],
            publication=note["publication"], paused=bool(note["paused"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """What an epoch made of a view.

    Parameters
    ----------
    lane : Lane
        As it is now.
    steps : frame
        Each step between the last cut and this one, where all are wanted; else of entities with new rows alone.
    records : frame
        The steps of the records to be written: as of `Lane.written`.
    elements : mapping of str to frame
        What is carried of their entities.
    """

    lane: Lane
    steps: pl.DataFrame
    records: pl.DataFrame
    elements: Mapping[str, pl.DataFrame]

    def items(self, epoch: int, clock_us: int) -> Items:
        """The records, to be put into the online store."""
        return packed(self.lane, self.records, self.elements, Stamp(self.lane.generation, epoch), clock_us)


def moved(engine: Engine, lane: Lane, rows: pl.DataFrame, cut: int, *, every_step: bool) -> Moved:
    """Take an epoch's rows in.

    Parameters
    ----------
    engine : Engine
        Computes.
    lane : Lane
        As it was.
    rows : frame
        Accepted, unique, masked rows as silver has them.
    cut : int
        Through when all is known, in microseconds; not before the last one.
    every_step : bool
        Whether each step is wanted, also of entities to which nothing happened.
    """
    since = BEGINNING if lane.carry is None else lane.carry.until
    mine = rows.filter(pl.col("_hr_known").dt.epoch("us") >= lane.floor) if lane.floor > BEGINNING else rows
    asked = Asked(since, max(cut, since), _FAR)
    found = engine.advance(lane.view, mine, lane.carry, asked, everyone=every_step)
    records = _records(lane, found, since, asked.until)
    after = replace(lane, carry=found.carry, written=_remembered(lane, records, found.touched))
    steps = found.steps.filter(_time() < asked.until)
    return Moved(after, steps, records, found.elements)


def everything(lane: Lane) -> Moved:
    """The records of all entities, for a store that lost them."""
    steps = pl.DataFrame() if lane.written is None else lane.written
    elements = {} if lane.carry is None else lane.carry.elements
    return Moved(lane, steps, steps, elements)


def swept(lane: Lane, now_us: int) -> tuple[Lane, list[bytes]]:
    """A lane without the entities whose records have expired, and the keys of these records.

    What counts no more is not remembered for ever: windows are empty, and values too old, for a week.
    """
    written, carry = lane.written, lane.carry
    if written is None or carry is None or lane.view.mutable or not lane.keys or written.is_empty():
        return lane, []
    ends = expiries(lane.view, written)
    if ends is None:
        return lane, []
    last = (
        written.select(lane.keys).with_columns(pl.Series("_hr_expires", ends)).group_by(lane.keys).agg(pl.all().max())
    )
    gone = last.filter(pl.col("_hr_expires") < now_us).select(lane.keys)
    if gone.is_empty():
        return lane, []
    kept = written.join(gone, on=lane.keys, how="anti", maintain_order="left")
    keys = [key for key in record_keys(lane.fingerprint, gone) if key is not None]
    return replace(lane, written=kept, carry=forgotten(lane.view, carry, gone)), keys


def _time() -> pl.Expr:
    return pl.col(TIME).dt.epoch("us")


def _records(lane: Lane, found: Advanced, since: int, cut: int) -> pl.DataFrame:
    """The steps of the records of entities that something happened to: those that held, and those from now on."""
    columns = [*lane.keys, TIME, EVENT_TIME, *(field.name for field in lane.layout.fields)]
    new = found.steps.select(columns).with_columns(pl.lit(value=False).alias(CUT_OFF))
    new = _of(new, found.touched, lane.keys)
    if lane.written is not None:
        old = _of(lane.written, found.touched, lane.keys).filter(_time() < since)
        new = pl.concat([old, new], how="vertical_relaxed").sort([*lane.keys, TIME])
    return _thinned(new, lane.keys, cut)


def _of(steps: pl.DataFrame, touched: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    if not keys:
        return steps if touched.height else steps.clear()
    return steps.join(touched, on=keys, how="semi", maintain_order="left")


def _thinned(steps: pl.DataFrame, keys: list[str], cut: int) -> pl.DataFrame:
    """Sorted steps without those that are past and near another: the last one of each bucket of time stays."""
    if steps.is_empty():
        return steps
    oldest = cut - KEPT_BEFORE
    bucket = (
        pl.when(_time() > cut).then(_time())
        .when(_time() <= oldest).then(pl.lit(-1, dtype=pl.Int64))
        .otherwise(_time() // PAST_EVERY)
    )  # fmt: skip
    same = (
        pl.all_horizontal(pl.col(key).eq_missing(pl.col(key).shift(-1)) for key in keys) if keys else pl.lit(value=True)
    )
    marked = steps.with_columns(bucket.alias("_hr_bucket")).with_columns(
        (same & (pl.col("_hr_bucket") == pl.col("_hr_bucket").shift(-1))).fill_null(value=False).alias("_hr_drop")
    )
    lost = pl.col("_hr_drop").any() | pl.col(CUT_OFF).any()
    cut_off = lost.over(keys) if keys else lost
    return marked.with_columns(cut_off.alias(CUT_OFF)).filter(~pl.col("_hr_drop")).select(steps.columns)


def _remembered(lane: Lane, records: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """The steps in all records, after some were written."""
    if lane.written is None:
        return records
    if not lane.keys:
        return records if touched.height else lane.written
    others = lane.written.join(touched, on=lane.keys, how="anti", maintain_order="left")
    return pl.concat([others, records], how="vertical_relaxed")


def packed(lane: Lane, steps: pl.DataFrame, elements: Mapping[str, pl.DataFrame], stamp: Stamp, clock_us: int) -> Items:
    """Steps as records with one layer."""
    if steps.is_empty():
        return
    keys = lane.keys
    ordered = steps.sort([*keys, TIME])
    until = clock_us if lane.carry is None else lane.carry.until
    since = tiles_since(lane.view, until)
    found = [
        *pack_shorter(lane.fingerprint, lane.layout, keys, ordered.drop(CUT_OFF), elements, since, ordered[CUT_OFF])
    ]
    if not found:
        return
    names, kinds, bodies = zip(*found, strict=True)
    expires = _expires(lane, ordered)
    ends = [expires.get(name, 0) for name in names] if expires else [0] * len(names)
    heads = first_layers(stamp, ends, kinds, [*map(len, bodies)])
    yield from zip(names, map(bytes.__add__, heads, bodies), strict=True)


def _expires(lane: Lane, steps: pl.DataFrame) -> dict[bytes, int]:
    """When each record expires; empty where none does."""
    ends = expiries(lane.view, steps)
    if ends is None:
        return {}
    last = steps.select(lane.keys).with_columns(pl.Series("_hr_expires", ends))
    last = last.unique(lane.keys, keep="last", maintain_order=True) if lane.keys else last.tail(1)
    keys = record_keys(lane.fingerprint, last.select(lane.keys) if lane.keys else pl.DataFrame())
    return {key: when for key, when in zip(keys, last["_hr_expires"].to_list(), strict=False) if key is not None}
