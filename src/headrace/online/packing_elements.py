"""Carried elements of windows as the tiles of packed records, many entities at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from headrace.errors import DefinitionError
from headrace.online.packing_keys import cut
from headrace.timeline.arrays import Bools, Ints, Payload
from headrace.timeline.packed import Layout
from headrace.timeline.packed_tiles import SET_HEAD, WITH_STARTS, Merged, TileSet

_HEAD = np.dtype([("n", "<u4"), ("flags", "u1")])
_TIME = np.dtype("<i8")
_LIMB_BITS = 32
_HIGHEST = 2**31


@dataclass(frozen=True, slots=True)
class HeldTiles:
    """The tiles of one set, of many entities.

    Parameters
    ----------
    tile_set : TileSet
        The set.
    first : int64 array, shape (n_entities + 1,)
        The first tile of each entity, and how many there are.
    end, start : int64 arrays, shape (n_tiles,)
        When each counts, in microseconds.
    columns : mapping of str to array
        The merged state.
    waiting : bool array, shape (n_entities,)
        Whether some tile of an entity has not begun yet.
    too_large : bool array, shape (n_entities,)
        Whether a sum of an entity's tiles might not fit into 64 bits.
    """

    tile_set: TileSet
    first: Ints
    end: Ints
    start: Ints
    columns: Payload
    waiting: Bools
    too_large: Bools

    def sizes(self) -> Ints:
        """How many bytes the set takes in each entity's record."""
        widths = self.tile_set.width + np.where(self.waiting, _TIME.itemsize, 0)
        return np.asarray(SET_HEAD.size + np.diff(self.first) * widths)

    def of(self, chosen: Bools) -> HeldTiles:
        """The tiles of some of the entities."""
        counts = np.diff(self.first)
        mine = np.repeat(chosen, counts)
        columns = {name: column[mine] for name, column in self.columns.items()}
        return replace(
            self, first=np.concatenate([[0], np.cumsum(counts[chosen])]), end=self.end[mine], start=self.start[mine],
            columns=columns, waiting=self.waiting[chosen], too_large=self.too_large[chosen],
        )  # fmt: skip

    def pieces(self, low: int, high: int) -> list[list[bytes]]:
        """For the entities ``low … high - 1``, the parts of their tiles' bytes in the order of the format."""
        first = self.first[low : high + 1]
        mine, bounds = slice(int(first[0]), int(first[-1])), first - first[0]
        head = np.zeros(high - low, dtype=_HEAD)
        head["n"], head["flags"] = np.diff(first), np.where(self.waiting[low:high], WITH_STARTS, 0)
        begun = np.repeat(~self.waiting[low:high], np.diff(first))
        started = np.concatenate([[0], np.cumsum(np.where(self.waiting[low:high], np.diff(first), 0))])
        return [
            cut(head.tobytes(), np.arange(high - low + 1) * _HEAD.itemsize),
            cut(self.end[mine].astype(_TIME).tobytes(), bounds * _TIME.itemsize),
            cut(self.start[mine][~begun].astype(_TIME).tobytes(), started * _TIME.itemsize),
            *(
                cut(self.columns[name][mine].astype(dtype).tobytes(), bounds * dtype.itemsize)
                for name, dtype in self.tile_set.columns.items()
            ),
        ]


def held_tiles(
    layout: Layout, keys: Sequence[str], entities: pl.DataFrame, elements: Mapping[str, pl.DataFrame], since: int
) -> list[HeldTiles]:
    """The tiles that still count after an instant, a `HeldTiles` for each of the layout's sets.

    Parameters
    ----------
    layout : Layout
        What records hold.
    keys : sequence of str
        The key columns.
    entities : frame
        The keys of the entities, one a row.
    elements : mapping of str to frame
        For each feature, what an engine carries from the frontier: the keys as ``_hr_key_…``, ``_hr_start``,
        ``_hr_end``, and the aggregate's columns.
    since : int
        The instant, in microseconds.

    Raises
    ------
    DefinitionError
        If a feature's elements are missing, or features that look at the same rows carry different intervals.
    """
    return [_held(layout, each, keys, entities, elements, since) for each in layout.tile_sets]


def _held(
    layout: Layout, tile_set: TileSet, keys: Sequence[str], entities: pl.DataFrame,
    elements: Mapping[str, pl.DataFrame], since: int,
) -> HeldTiles:  # fmt: skip
    columns: Payload = {}
    shared: tuple[Ints, ...] = ()
    for feature in tile_set.features:
        name = layout.fields[feature.index].name
        if name not in elements:
            raise DefinitionError(f"the carried state has no elements of feature '{name}'; backfill its view again.")
        *own, payload = _sorted(elements[name], keys, entities, since)
        if shared and not all(map(np.array_equal, shared, own)):
            raise DefinitionError(f"the elements of feature '{name}' have other intervals than those of its window.")
        shared = tuple(own)
        columns |= _columns(feature, payload)
    group, end, start = shared
    n = len(entities) if keys else 1
    first = np.searchsorted(group, np.arange(n + 1))
    kept = {name: columns[name] for name in tile_set.columns}
    waiting = _sums(start > since, first) > 0
    return HeldTiles(tile_set, first, end, start, kept, waiting, _sums(_highs(columns), first) >= _HIGHEST)


def _sorted(
    frame: pl.DataFrame, keys: Sequence[str], entities: pl.DataFrame, since: int
) -> tuple[Ints, Ints, Ints, Payload]:
    """The entity, end, start and columns of the elements that count after `since`, in this order."""
    frame = frame.filter(pl.col("_hr_end") > since)
    group = _numbers(frame, keys, entities)
    end, start = frame["_hr_end"].to_numpy(), frame["_hr_start"].to_numpy()
    order = np.lexsort((start, end, group))
    order = order[group[order] >= 0]
    payload = {name: frame[name].to_numpy()[order] for name in frame.columns if not name.startswith("_hr_")}
    return group[order], end[order], start[order], payload


def _numbers(frame: pl.DataFrame, keys: Sequence[str], entities: pl.DataFrame) -> Ints:
    """The place of each element's entity; -1 for one that has no step."""
    if not keys:
        return np.zeros(len(frame), dtype=np.int64)
    numbered = entities.with_row_index("_hr_number")
    own = frame.select(pl.col(f"_hr_key_{key}").cast(entities.schema[key]).alias(key) for key in keys)
    joined = own.join(numbered, on=list(keys), how="left", maintain_order="left")
    return joined["_hr_number"].cast(pl.Int64).fill_null(-1).to_numpy()


def _columns(feature: Merged, payload: Payload) -> Payload:
    """An aggregate's columns under the names of tiles, besides the limbs that tell how large its sums are."""
    if feature.function in ("min", "max"):
        return {"least" if feature.function == "min" else "greatest": payload["value"]}
    if "high" in payload:
        total = (payload["high"] << _LIMB_BITS) | payload["low"]
        return {"n": payload["n"], "total": total, "high": payload["high"]}
    return {"total" if name == "sum" else name: column for name, column in payload.items()}


def _highs(columns: Payload) -> Ints:
    """A bound of each sum's upper limb."""
    some = next(iter(columns.values()))
    high = columns.get("high")
    return np.zeros(len(some), dtype=np.int64) if high is None else np.minimum(np.abs(high), _HIGHEST) + 1


def _sums(values: Ints | Bools, first: Ints) -> Ints:
    total = np.concatenate([[0], np.cumsum(values)])
    return np.asarray(np.diff(total[first]))
