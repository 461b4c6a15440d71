"""Frames of steps as packed records, many at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from headrace.online.packing_columns import check_columns, packed_rows, put_offsets
from headrace.online.packing_keys import cut as cut_bytes
from headrace.online.packing_keys import record_keys
from headrace.timeline.arrays import Ints
from headrace.timeline.packed import Layout
from headrace.timeline.packed_steps import CUT_OFF

ROWS_AT_ONCE = 1 << 16
CUT = "_hr_cut"
"""Whether earlier steps of the entity were left out."""
_HEAD = np.dtype([("flags", "u1"), ("n", "<u4")])


def pack_steps(
    fingerprint: str, layout: Layout, keys: Sequence[str], steps: pl.DataFrame, cut_off: bool | pl.Series = False
) -> Iterator[tuple[bytes, bytes]]:
    """Pack the steps of many entities.

    Parameters
    ----------
    fingerprint : str
        That of the view's definition.
    layout : Layout
        What a record holds.
    keys : sequence of str
        The key columns; empty for a global view.
    steps : frame
        Keys, ``valid_from``, ``event_time`` and the layout's features, sorted by keys and ``valid_from``.
        Steps of an entity with a null key are left out.
    cut_off : bool or Series
        Whether earlier steps were left out: of all entities, or a boolean for each row of `steps`, of which an
        entity's first one decides.

    Yields
    ------
    key, body : bytes
        The record's key in the store, and the body of a layer of kind `STEPS`; in the order of `steps`.

    Raises
    ------
    DefinitionError
        If the frame does not have the layout's columns.
    """
    check_columns(layout, keys, steps)
    known = prepared(keys, steps, cut_off)
    first = record_starts(keys, known)
    for low, high in chunks(first):
        part = known[first[low] : first[high]]
        yield from zip(*_packed(fingerprint, layout, keys, part, first[low : high + 1] - first[low]), strict=True)


def prepared(keys: Sequence[str], steps: pl.DataFrame, cut_off: bool | pl.Series) -> pl.DataFrame:
    """Steps of entities without null keys, with a column that says whether earlier ones were left out."""
    flags = pl.lit(cut_off) if isinstance(cut_off, bool) else cut_off
    return steps.with_columns(flags.alias(CUT)).drop_nulls(list(keys) or ["valid_from"])


def record_starts(keys: Sequence[str], steps: pl.DataFrame) -> Ints:
    """The first row of each entity, and how many rows there are."""
    if not keys or steps.is_empty():
        return np.unique([0, len(steps)])
    changed = steps.select(pl.any_horizontal(pl.col(key).ne_missing(pl.col(key).shift()) for key in keys).alias("new"))
    fresh = changed["new"].to_numpy().copy()
    fresh[0] = True
    return np.append(np.flatnonzero(fresh), len(steps))


def entities_of(keys: Sequence[str], steps: pl.DataFrame, first: Ints) -> pl.DataFrame:
    """The keys of each entity, one a row; without columns for a global view."""
    return steps.select(keys)[pl.Series(first[:-1])] if keys else pl.DataFrame()


def chunks(first: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of records, each of about `ROWS_AT_ONCE` rows, or of one record with more."""
    wanted = np.arange(0, int(first[-1]), ROWS_AT_ONCE)
    yield from pairwise(np.unique([*np.searchsorted(first, wanted), len(first) - 1]).tolist())


def _packed(
    fingerprint: str, layout: Layout, keys: Sequence[str], steps: pl.DataFrame, first: Ints
) -> tuple[list[bytes | None], list[bytes]]:
    return record_keys(fingerprint, entities_of(keys, steps, first)), bodies(layout, steps, first)


def bodies(layout: Layout, steps: pl.DataFrame, first: Ints) -> list[bytes]:
    """The packed steps of each record; `first` as of `record_starts`."""
    codec = layout.codec
    places = [i for i, each in enumerate(codec.stored) if each.in_heap]
    rows, heaps = packed_rows(codec, layout.fields, steps)
    bounds = put_offsets(rows, places, heaps, first)
    head = np.zeros(len(first) - 1, dtype=_HEAD)
    head["flags"] = np.where(steps[CUT].to_numpy()[first[:-1]], CUT_OFF, 0)
    head["n"] = np.diff(first)
    pieces = [
        cut_bytes(head.tobytes(), np.arange(len(first)) * _HEAD.itemsize),
        cut_bytes(rows.tobytes(), first * codec.stride),
        *(cut_bytes(heap.data, begin) for heap, begin in zip(heaps, bounds, strict=True)),
    ]
    return list(map(b"".join, zip(*pieces, strict=True)))
