"""One view of a stream: what is remembered of its entities, and what each epoch makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from headrace.connectors.streams import APPENDED, OFFSET, PARTITION
from headrace.definitions.views import FeatureView
from headrace.engines.base import Advanced, Asked, Carry, Engine
from headrace.engines.polars_advance import forgotten
from headrace.online.base import Stamp
from headrace.online.expiry import EVENT_TIME, KEPT_BEFORE, TIME, expiries
from headrace.online.packing import entities_of, record_starts
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
_RECORD: Final = [PARTITION, OFFSET]
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
        Rows that count earlier are in the state that it was loaded from already, unless they came later than that.
    loaded_at : int
        When the rows of that state had all been ingested: none that the log took then or later is in it.
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
    loaded_at: int = FOREVER
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
            found |= {name: getattr(self.carry, name) for name in ("rows", "log", "seen", "corrected")}
            found |= {f"element-{name}": frame for name, frame in self.carry.elements.items()}
        return {name: frame for name, frame in found.items() if frame is not None}

    def note(self) -> dict[str, Any]:
        """What else has to be known to go on from its frames."""
        carried = {} if self.carry is None else {"until": self.carry.until, "next_row_id": self.carry.next_row_id}
        return {
            "fingerprint": self.fingerprint, "generation": self.generation, "floor": self.floor,
            "loaded_at": self.loaded_at, "publication": self.publication, "paused": self.paused, **carried,
        }  # fmt: skip

    def restored(self, frames: Mapping[str, pl.DataFrame], note: Mapping[str, Any]) -> Lane:
        """The inverse of `frames` and `note`."""
        elements = {name[8:]: frame for name, frame in frames.items() if name.startswith("element-")}
        carry = None
        if "until" in note:
            carry = Carry(
                note["until"], frames.get("rows"), elements, frames.get("log"), frames.get("seen"), note["next_row_id"],
                frames.get("corrected"),
            )  # fmt: skip
        return replace(
            self, carry=carry, written=frames.get("written"), generation=note["generation"], floor=note["floor"],
            loaded_at=note.get("loaded_at", FOREVER), publication=note["publication"], paused=bool(note["paused"]),
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
    since : int
        The last cut, in microseconds.
    least : int
        The earliest instant from which one of the epoch's rows counts.
    entities : int
        How many entities something happened to.
    """

    lane: Lane
    steps: pl.DataFrame
    records: pl.DataFrame
    elements: Mapping[str, pl.DataFrame]
    since: int = BEGINNING
    least: int = FOREVER
    entities: int = 0

    def items(self, epoch: int, clock_us: int) -> Items:
        """The records, to be put into the online store."""
        return packed(self.lane, self.records, self.elements, Stamp(self.lane.generation, epoch), clock_us)


def moved(
    engine: Engine, lane: Lane, rows: pl.DataFrame, cut: int, *, every_step: bool, received: pl.DataFrame | None = None
) -> Moved:
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
    received : frame, optional
        The records of the rows, which say when the log took them.
    """
    since = BEGINNING if lane.carry is None else lane.carry.until
    mine = _not_loaded(lane, rows, received)
    asked = Asked(since, max(cut, since), _FAR)
    found = engine.advance(lane.view, mine, lane.carry, asked, everyone=every_step)
    records = _records(lane, found, since, asked.until, everyone=every_step)
    after = replace(lane, carry=found.carry, written=_remembered(lane, records, found.touched))
    steps = found.steps.filter(_time() < asked.until)
    least = mine.select(pl.col("_hr_known").dt.epoch("us").min()).item()
    least = FOREVER if least is None else least
    return Moved(after, steps, records, found.elements, since, least, found.touched.height)


def _not_loaded(lane: Lane, rows: pl.DataFrame, received: pl.DataFrame | None) -> pl.DataFrame:
    """The rows that are not in the state with which a lane began."""
    if lane.floor <= BEGINNING:
        return rows
    counts_later = rows["_hr_known"].dt.epoch("us") >= lane.floor
    if received is None or lane.loaded_at >= FOREVER or counts_later.all():
        return rows.filter(counts_later)
    came_later = received.filter(pl.col(APPENDED).dt.epoch("us") >= lane.loaded_at).select(*_RECORD, _hr_late=True)
    found = rows.select(_RECORD).join(came_later, on=_RECORD, how="left", maintain_order="left")
    return rows.filter(counts_later | found["_hr_late"].fill_null(value=False))


def everything(lane: Lane) -> Moved:
    """The records of all entities, for a store that lost them."""
    steps = pl.DataFrame() if lane.written is None else lane.written.sort([*lane.keys, TIME])
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


def _records(lane: Lane, found: Advanced, since: int, cut: int, *, everyone: bool) -> pl.DataFrame:
    """The steps of the records of entities that something happened to: those that held, and those from now on.

    Sorted by keys and time. Steps that came before are few, those to come need no thinning: each is looked at once.
    """
    columns = [*lane.keys, TIME, EVENT_TIME, *(field.name for field in lane.layout.fields)]
    new = found.steps.select(columns).with_columns(pl.lit(value=False).alias(CUT_OFF))
    if everyone or not lane.keys:
        new = _of(new, found.touched, lane.keys)
    is_past = new.select(_time() <= cut).to_series()
    past, future = new.filter(is_past), new.filter(~is_past)
    if lane.written is not None:
        old = _of(lane.written.filter(_time() < since), found.touched, lane.keys)
        past = _by_keys([old, past], lane.keys)
    return _by_keys([_thinned(past, lane.keys, cut), future], lane.keys)


def _by_keys(frames: list[pl.DataFrame], keys: list[str]) -> pl.DataFrame:
    """Steps of earlier times and of later ones, each by keys and time, as one."""
    whole = pl.concat(frames, how="vertical_relaxed")
    return whole.sort(keys, maintain_order=True) if keys and all(frame.height for frame in frames) else whole


def _of(steps: pl.DataFrame, touched: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    if not keys:
        return steps if touched.height else steps.clear()
    return steps.join(touched, on=keys, how="semi", maintain_order="left")


def _thinned(steps: pl.DataFrame, keys: list[str], cut: int) -> pl.DataFrame:
    """Sorted past steps without those that are near another: the last one of each bucket of time stays."""
    if steps.is_empty():
        return steps
    oldest = cut - KEPT_BEFORE
    bucket = pl.when(_time() <= oldest).then(pl.lit(-1, dtype=pl.Int64)).otherwise(_time() // PAST_EVERY)
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
    """Steps, sorted by keys and time, as records with one layer."""
    if steps.is_empty():
        return
    since = tiles_since(lane.view, clock_us if lane.carry is None else _last_row(lane.carry))
    found = [
        *pack_shorter(lane.fingerprint, lane.layout, lane.keys, steps.drop(CUT_OFF), elements, since, steps[CUT_OFF])
    ]
    if not found:
        return
    names, kinds, bodies = zip(*found, strict=True)
    heads = first_layers(stamp, _expires(lane, steps, names, kinds), kinds, [*map(len, bodies)])
    yield from zip(names, map(bytes.__add__, heads, bodies), strict=True)


def _last_row(carry: Carry) -> int:
    """The instant from which on windows alone change: rows may count from later on than the cut."""
    if carry.rows is None or carry.rows.is_empty():
        return carry.until
    return max(carry.until, int(carry.rows.select(pl.col("_hr_visible").max()).item()))


def _expires(lane: Lane, steps: pl.DataFrame, names: Sequence[bytes], kinds: Sequence[int]) -> Sequence[int]:
    """When each record expires; 0 for never. `names` are those of the records, `kinds` what they are made of."""
    ends = expiries(lane.view, steps)
    if ends is None:
        return [0] * len(names)
    last: list[int] = ends[record_starts(lane.keys, steps)[1:] - 1].tolist()
    if len(last) == len(names) and len(set(kinds)) == 1:  # in the order of the steps
        return last
    keys = record_keys(lane.fingerprint, entities_of(lane.keys, steps, record_starts(lane.keys, steps)))
    found = dict(zip(keys, last, strict=True))
    return [found[name] for name in names]
