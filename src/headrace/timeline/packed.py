"""The packed record: what the online store holds of an entity, and its value at a time.

`Layout` says which features a record holds, and travels with the view's head; `Reader` evaluates records. The bytes
are described where they are read: layers in `packed_record`, steps in `packed_steps`, windows in `packed_tiles`,
values in `packed_types`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from headrace.timeline import packed_tiles
from headrace.timeline.packed_record import FIRST_LAYER, GONE, STEPS, TILES, visible
from headrace.timeline.packed_steps import CUT_OFF, HEAD, NO_TIME, Step, StepsCodec
from headrace.timeline.packed_tiles import TileSet
from headrace.timeline.packed_types import CorruptRecordError
from headrace.types import FOREVER, DataType, parse_type

PRESENT, NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE, FAILED, STALE = range(7)
STATUSES: Final = ("PRESENT", "NOT_FOUND", "NULL_VALUE", "OUTSIDE_MAX_AGE", "INCOMPLETE", "FAILED", "STALE")
"""The names of the status codes, each at its code. `FAILED` is an on-demand feature whose function raised; `STALE` is
a value that would be `PRESENT`, of a record that was read earlier, as the store can't be read now."""
FORMAT: Final = 1
_UNREADABLE: Final = (struct.error, msgspec.MsgspecError, ValueError, IndexError, ArithmeticError)
_BODY: Final = FIRST_LAYER.size
_ROWS: Final = HEAD.size
_MOST_STARTS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Field:
    """A feature in a record.

    Parameters
    ----------
    name : str
        Its name in the view.
    dtype : DataType
        Its type.
    ages : bool
        Whether the view's ttl makes it null.
    """

    name: str
    dtype: DataType
    ages: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """What the records of a view hold.

    Parameters
    ----------
    fields : tuple of Field
        The features, in order.
    ttl_us : int, optional
        A feature that ages is null where the newest row is older than this, in microseconds.
    tile_sets : tuple of TileSet
        The windows that a record of tiles holds; empty where the view's records are steps only.

    Examples
    --------
    >>> from headrace.types import Float64
    >>> layout = Layout((Field("speed", Float64),))
    >>> Layout.from_plain(layout.plain()) == layout
    True
    """

    fields: tuple[Field, ...]
    ttl_us: int | None = None
    tile_sets: tuple[TileSet, ...] = ()

    def plain(self) -> dict[str, Any]:
        """The layout as plain data, for msgpack and JSON."""
        fields = [[field.name, str(field.dtype), field.ages] for field in self.fields]
        tiles = [packed_tiles.as_plain(each) for each in self.tile_sets]
        return {"format": FORMAT, "ttl_us": self.ttl_us, "fields": fields, "tiles": tiles}

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Layout:
        """The inverse of `plain`.

        Raises
        ------
        CorruptRecordError
            If it was written in a format that is not known here.
        """
        if data.get("format") != FORMAT:
            raise CorruptRecordError(
                f"records of format {data.get('format')!r} were written by another version of headrace; "
                f"this one reads format {FORMAT}"
            )
        fields = tuple(Field(name, parse_type(dtype), ages) for name, dtype, ages in data["fields"])
        types = [field.dtype for field in fields]
        return cls(fields, data["ttl_us"], tuple(packed_tiles.from_plain(each, types) for each in data["tiles"]))

    @property
    def codec(self) -> StepsCodec:
        """What packs steps of this layout."""
        return self.reader().codec

    def reader(self) -> Reader:
        """The reader of this layout's records: made once, so keep it where requests are answered."""
        return _reader(self)


class Answer(NamedTuple):
    """What a record says of an entity at a time.

    Parameters
    ----------
    statuses : tuple of int
        A code a feature: its place in `STATUSES`.
    event_time : int or None
        When the newest row then known happened, in microseconds; None where there is none.
    values : tuple
        A Python value a feature; None unless it is `PRESENT`.
    """

    statuses: tuple[int, ...]
    event_time: int | None
    values: tuple[Any, ...]


class Answers(NamedTuple):
    """What records say of many entities at a time, one place an entity.

    Parameters
    ----------
    values : list of tuple
        A Python value a feature; None unless it is `PRESENT`.
    statuses : list of tuple of int
        A code a feature: its place in `STATUSES`.
    event_times : list of int or None
        When each entity's newest row then known happened, in microseconds; None where there is none.
    """

    values: list[tuple[Any, ...]]
    statuses: list[tuple[int, ...]]
    event_times: list[int | None]


class Reader:
    """Evaluates the records of a layout.

    Parameters
    ----------
    layout : Layout
        What the records hold.
    """

    def __init__(self, layout: Layout) -> None:
        n = len(layout.fields)
        self.layout = layout
        self.codec = StepsCodec([field.dtype for field in layout.fields])
        self._ages = [i for i, field in enumerate(layout.fields) if field.ages]
        self._ttl = layout.ttl_us if layout.ttl_us is not None and self._ages else FOREVER
        self._present = (PRESENT,) * n
        self._not_found = Answer((NOT_FOUND,) * n, None, (None,) * n)
        self._incomplete = Answer((INCOMPLETE,) * n, None, (None,) * n)
        self._one_step_bytes = _BODY + HEAD.size + self.codec.stride if self.codec.as_it_is else -1
        self._plain_starts: tuple[tuple[int, int], set[bytes]] = (0, 0), set()

    def at(self, record: bytes | memoryview | None, head: tuple[int, int], time_us: int) -> Answer:
        """The values of an entity at a time.

        Parameters
        ----------
        record : bytes-like or None
            The entity's record; None where there is none.
        head : tuple of int
            Generation and epoch of the view's head: newer layers are passed over.
        time_us : int
            The time asked for, in microseconds.

        Returns
        -------
        Answer
            `NOT_FOUND` for all features without a record, before its first step and once it has expired;
            `INCOMPLETE` before the first step of a record whose earlier steps were cut off.

        Raises
        ------
        CorruptRecordError
            If the bytes are no record of this layout.
        """
        if record is None:
            return self._not_found
        try:  # written out, as a context manager would take half as long as all the rest
            _, _, expires_at, n_layers, generation, epoch, kind, length = FIRST_LAYER.unpack_from(record)
            start, end = _BODY, _BODY + length
            if n_layers != 1 or end != len(record) or (generation, epoch) > head:
                kind, start, end = visible(record, head)
            if expires_at and time_us >= expires_at:
                return self._not_found
            if kind == STEPS:
                return self._from_steps(record, start, end, time_us)
            return self._not_found if kind == GONE else self._from_tiles(record, kind, start, end, time_us)
        except _UNREADABLE as error:
            raise _corruption(record, error) from error

    def many(self, records: Sequence[bytes | None], head: tuple[int, int], time_us: int) -> Answers:
        """The values of many entities at a time, as `at` gives each.

        A record of one step without nulls, in force, not too old and never to expire is read here, without a call:
        most begin with the same bytes, which were looked at once.

        Parameters
        ----------
        records : sequence of bytes or None
            The entities' records.
        head : tuple of int
            Generation and epoch of the view's head.
        time_us : int
            The time asked for, in microseconds.

        Raises
        ------
        CorruptRecordError
            If the bytes of one are no record of this layout.
        """
        found = Answers([], [], [])
        add_values, add_statuses, add_time = found.values.append, found.statuses.append, found.event_times.append
        size, unpack, present, oldest = (
            self._one_step_bytes,
            self.codec.unpack_only_row,
            self._present,
            time_us - self._ttl,
        )
        starts = self._starts_of(head)
        for record in records:
            if (
                record is not None
                and len(record) == size
                and (record[:_BODY] in starts or self._is_plain(record, head, starts))
            ):
                row = unpack(record, _BODY)  # flags, number of steps, valid_from, event_time, nulls, values
                event_time = row[3]
                if row[1] == 1 and row[2] <= time_us and not row[4] and event_time >= oldest and event_time != NO_TIME:
                    add_values(row[5:])
                    add_statuses(present)
                    add_time(event_time)
                    continue
            statuses, event_time, values = self.at(record, head, time_us)
            add_values(values)
            add_statuses(statuses)
            add_time(event_time)
        return found

    def _starts_of(self, head: tuple[int, int]) -> set[bytes]:
        """How the records begin that have one layer of steps, which the head has reached, and do not expire."""
        known, starts = self._plain_starts
        if known != head or len(starts) > _MOST_STARTS:
            starts = set()
            self._plain_starts = head, starts
        return starts

    def _is_plain(self, record: bytes, head: tuple[int, int], starts: set[bytes]) -> bool:
        """Whether it begins so; noted in the head's own set, as another thread may be reading by another head."""
        _, _, expires_at, n_layers, generation, epoch, kind, length = FIRST_LAYER.unpack_from(record)
        is_plain = n_layers == 1 and kind == STEPS and length == len(record) - _BODY and (generation, epoch) <= head
        if is_plain and not expires_at:
            starts.add(record[:_BODY])
            return True
        return False

    def steps(self, record: bytes | memoryview | None, head: tuple[int, int]) -> list[Step]:
        """Every step of the layer that a head has reached, oldest first; those of tiles are merged.

        Neither ageing nor expiry is applied: this is what gold and the schedule say.

        Raises
        ------
        CorruptRecordError
            If the bytes are no record of this layout.
        """
        if record is None:
            return []
        with _corruption_named(record):
            kind, start, end = visible(record, head)
            if kind == STEPS:
                return self.codec.all_steps(record, start, end)
            return [] if kind == GONE else self._steps_of_tiles(record, kind, start, end)

    def _from_steps(self, record: bytes | memoryview, start: int, end: int, time_us: int) -> Answer:
        codec = self.codec
        flags, n, heap = codec.rows(record, start, end)
        place = start + _ROWS
        if n > 1:
            place = codec.find(record, place, n, time_us)
        row = codec.unpack_row(record, place) if n else None
        if row is None or row[0] > time_us:
            return self._incomplete if flags & CUT_OFF else self._not_found
        event_time = None if row[1] == NO_TIME else row[1]
        if codec.as_it_is and not row[2] and (event_time is None or time_us - event_time <= self._ttl):
            return Answer(self._present, event_time, row[3:])
        return self._judged(codec.values(row, record, heap, end), event_time, time_us)

    def _from_tiles(self, record: bytes | memoryview, kind: int, start: int, end: int, time_us: int) -> Answer:
        sets = self._sets_of(kind)
        steps_end, since, tiles = packed_tiles.unpack_body(record, start, end, sets)
        before = self._from_steps(record, start + packed_tiles.STEPS_LENGTH.size, steps_end, time_us)
        if time_us < since or before.statuses[0] in (NOT_FOUND, INCOMPLETE):
            return before
        values = list(before.values)
        packed_tiles.merge_into(values, sets, tiles, time_us)
        return self._judged(values, before.event_time, time_us)

    def _judged(self, values: list[Any], event_time: int | None, time_us: int) -> Answer:
        """Each value's status; those that have aged become null."""
        statuses = [NULL_VALUE if value is None else PRESENT for value in values]
        if event_time is not None and time_us - event_time > self._ttl:
            for i in self._ages:
                values[i], statuses[i] = None, OUTSIDE_MAX_AGE
        return Answer(tuple(statuses), event_time, tuple(values))

    def _sets_of(self, kind: int) -> tuple[TileSet, ...]:
        if kind != TILES:
            raise CorruptRecordError(f"there is no kind {kind} of records")
        return self.layout.tile_sets

    def _steps_of_tiles(self, record: bytes | memoryview, kind: int, start: int, end: int) -> list[Step]:
        sets = self._sets_of(kind)
        steps_end, since, tiles = packed_tiles.unpack_body(record, start, end, sets)
        found = self.codec.all_steps(record, start + packed_tiles.STEPS_LENGTH.size, steps_end)
        if not found or not tiles:
            return found
        bounds = np.unique(np.concatenate([held.bounds() for held in tiles]))
        for time_us in bounds[(bounds > since) & (bounds < FOREVER)].tolist():
            values = list(found[-1].values)
            packed_tiles.merge_into(values, sets, tiles, time_us)
            found.append(Step(time_us, found[-1].event_time, tuple(values)))
        return found


def _corruption(record: bytes | memoryview, error: Exception) -> CorruptRecordError:
    return CorruptRecordError(f"a record of {len(record)} bytes can't be read: {error}")


@contextmanager
def _corruption_named(record: bytes | memoryview) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise _corruption(record, error) from error


@lru_cache(maxsize=1024)
def _reader(layout: Layout) -> Reader:
    return Reader(layout)
