"""Tiles: merged state of what still counts in a window, instead of the steps at which it will end.

A window of a day in hops of five minutes ends in up to 289 steps with all features in each. Where that is longer,
a record holds the steps until an instant (`since`), and for what comes after, each window's elements::

    u32 length | steps, see `packed_steps` | i64 since | for each tile set:
        u32 number of tiles | u8 flags (bit 0: with starts) | i64 ends | i64 starts, if any | its columns

A tile counts at the times ``start <= T < end``; without starts, all have begun. Tiles are sorted by their ends, so
that those that still count are the last ones. Features that look at the same rows share a set.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.timeline.arrays import Ints, Payload
from headrace.timeline.packed_types import CorruptRecordError, plain
from headrace.types import DataType

SET_HEAD: Final = struct.Struct("<IB")
STEPS_LENGTH: Final = struct.Struct("<I")
SINCE: Final = struct.Struct("<q")
WITH_STARTS: Final = 1
TILED: Final = {
    "count": ("n",),
    "sum": ("total",),
    "mean": ("n", "total"),
    "variance": ("n", "mean", "m2"),
    "stddev": ("n", "mean", "m2"),
    "min": ("least",),
    "max": ("greatest",),
}
"""The functions that tiles are kept for, and the columns that each needs."""
_TIME: Final = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Merged:
    """A feature that is merged from tiles.

    Parameters
    ----------
    index : int
        Its place among the layout's fields.
    function : str
        A key of `TILED`.
    dtype : DataType
        The feature's type.
    exact : bool
        Whether the aggregated column is kept in whole numbers.
    scale : int
        The digits behind the point of a decimal column, of which a mean is taken.
    ddof : int
        The divisor of a variance is n - ddof.
    default : plain data, optional
        Stands for null, stored as the type is.
    """

    index: int
    function: str
    dtype: DataType
    exact: bool
    scale: int = 0
    ddof: int = 1
    default: Any = None

    def value(self, tiles: Payload) -> Any:
        """The Python value over some tiles, all of which count."""
        found = self._merged(tiles)
        if isinstance(found, float) and not math.isfinite(found):
            found = None
        found = self.default if found is None else found
        decode = plain(self.dtype)[1]
        return found if found is None or decode is None else decode(found)

    def _merged(self, tiles: Payload) -> int | float | None:
        if self.function == "count":
            return int(tiles["n"].sum())
        if not len(next(iter(tiles.values()))):
            return None
        if self.function in ("min", "max"):
            return tiles["least"].min().item() if self.function == "min" else tiles["greatest"].max().item()  # type: ignore[no-any-return]
        if self.function in ("variance", "stddev"):
            return _variance(tiles, self.ddof, root=self.function == "stddev")
        total: int | float = tiles["total"].sum().item()
        return total if self.function == "sum" else total / int(tiles["n"].sum()) / 10.0**self.scale


def _variance(tiles: Payload, ddof: int, *, root: bool) -> float | None:
    n = int(tiles["n"].sum())
    if n <= ddof:
        return None
    mean = (tiles["n"] * tiles["mean"]).sum() / n
    apart = tiles["mean"] - mean
    variance = float((tiles["m2"] + tiles["n"] * apart * apart).sum()) / (n - ddof)
    return math.sqrt(variance) if root else variance


@dataclass(frozen=True, slots=True)
class Tiles:
    """What one set holds for one entity: change a column's item to change a tile.

    Parameters
    ----------
    end : int64 array, shape (n_tiles,)
        Until when each counts, in microseconds; ascending.
    start : int64 array or None
        From when; None where all have begun.
    columns : mapping of str to array
        The merged state.
    """

    end: Ints
    start: Ints | None
    columns: Payload

    def counting(self, time_us: int) -> Payload:
        """The state of those that count at a time."""
        if self.start is None:
            first = int(np.searchsorted(self.end, time_us, side="right"))
            return {name: column[first:] for name, column in self.columns.items()}
        alive = (self.start <= time_us) & (time_us < self.end)
        return {name: column[alive] for name, column in self.columns.items()}

    def bounds(self) -> Ints:
        """Every time at which a tile begins or ends."""
        return self.end if self.start is None else np.concatenate([self.start, self.end])


@dataclass(frozen=True)
class TileSet:
    """Features that look at the same rows, and so share their tiles.

    Parameters
    ----------
    features : tuple of Merged
        In the layout's order.
    """

    features: tuple[Merged, ...]

    @cached_property
    def columns(self) -> dict[str, np.dtype[Any]]:
        """The stored columns and their types."""
        exact = self.features[0].exact
        number = np.dtype("<i8" if exact else "<f8")
        types: dict[str, np.dtype[Any]] = {"n": np.dtype("<u4"), "mean": np.dtype("<f8"), "m2": np.dtype("<f8")}
        wanted = {name: None for feature in self.features for name in TILED[feature.function]}
        return {name: types.get(name, number) for name in wanted}

    @cached_property
    def width(self) -> int:
        """The bytes of one tile without its start."""
        return _TIME.itemsize + sum(dtype.itemsize for dtype in self.columns.values())

    def pack(self, tiles: Tiles) -> bytes:
        """The bytes of one entity's tiles."""
        flags = 0 if tiles.start is None else WITH_STARTS
        times = [tiles.end, *([] if tiles.start is None else [tiles.start])]
        parts = [np.asarray(time, dtype=_TIME).tobytes() for time in times]
        parts += [np.asarray(tiles.columns[name], dtype=dtype).tobytes() for name, dtype in self.columns.items()]
        return SET_HEAD.pack(len(tiles.end), flags) + b"".join(parts)

    def unpack(self, record: bytes | memoryview, place: int) -> tuple[Tiles, int]:
        """An entity's tiles at a place, and where they end; arrays are views of the record."""
        n, flags = SET_HEAD.unpack_from(record, place)
        place += SET_HEAD.size
        end, place = _array(record, _TIME, n, place)
        start = None
        if flags & WITH_STARTS:
            start, place = _array(record, _TIME, n, place)
        columns = {}
        for name, dtype in self.columns.items():
            columns[name], place = _array(record, dtype, n, place)
        return Tiles(end, start, columns), place


def _array(record: bytes | memoryview, dtype: np.dtype[Any], n: int, place: int) -> tuple[NDArray[Any], int]:
    if not n:
        return np.zeros(0, dtype=dtype), place
    return np.frombuffer(record, dtype, n, place), place + n * dtype.itemsize


def pack_body(steps: bytes, since: int, sets: Sequence[TileSet], tiles: Sequence[Tiles]) -> bytes:
    """A body of tiles.

    Parameters
    ----------
    steps : bytes
        The packed steps with ``valid_from <= since``.
    since : int
        From when windows are merged from tiles, in microseconds.
    sets, tiles : sequences
        The layout's sets, and what each holds.
    """
    packed = [each.pack(held) for each, held in zip(sets, tiles, strict=True)]
    return b"".join([STEPS_LENGTH.pack(len(steps)), steps, SINCE.pack(since), *packed])


def unpack_body(
    record: bytes | memoryview, start: int, end: int, sets: Sequence[TileSet]
) -> tuple[int, int, list[Tiles]]:
    """Where a body's steps end, its `since`, and its tiles; the steps begin behind their length.

    Raises
    ------
    CorruptRecordError
        If the parts are longer or shorter than the body.
    """
    steps_end, since = steps_until(record, start, end)
    place, tiles = steps_end + SINCE.size, []
    for each in sets:
        held, place = each.unpack(record, place)
        tiles.append(held)
    if place != end:
        raise CorruptRecordError(f"tiles of {place - start} bytes are not what {end - start} bytes hold")
    return steps_end, since, tiles


def steps_until(record: bytes | memoryview, start: int, end: int) -> tuple[int, int]:
    """Where the steps of a body of tiles end, and the instant until which they hold."""
    steps_end = start + STEPS_LENGTH.size + STEPS_LENGTH.unpack_from(record, start)[0]
    if steps_end + SINCE.size > end:
        raise CorruptRecordError("the steps before tiles reach beyond their record")
    return steps_end, SINCE.unpack_from(record, steps_end)[0]


def merge_into(values: list[Any], sets: Sequence[TileSet], tiles: Sequence[Tiles], time_us: int) -> None:
    """Put the windows' values at a time in their places among all features' values."""
    with np.errstate(over="ignore", invalid="ignore"):  # floats beyond their range are null
        for each, held in zip(sets, tiles, strict=True):
            counting = held.counting(time_us)
            for feature in each.features:
                values[feature.index] = feature.value(counting)


def as_plain(each: TileSet) -> list[list[Any]]:
    """A set as plain data for msgpack, without the types of its features."""
    return [[f.index, f.function, f.exact, f.scale, f.ddof, f.default] for f in each.features]


def from_plain(data: Sequence[Sequence[Any]], types: Mapping[int, DataType] | Sequence[DataType]) -> TileSet:
    """The inverse of `as_plain`."""
    return TileSet(tuple(Merged(index, function, types[index], *rest) for index, function, *rest in data))
