"""Frames of steps and carried elements as packed records: of tiles, or of what is shorter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
import polars as pl

from headrace.errors import OverflowRefusedError
from headrace.online.packing import CUT, bodies, chunks, entities_of, pack_steps, prepared, record_starts
from headrace.online.packing_columns import check_columns, lengths
from headrace.online.packing_elements import HeldTiles, held_tiles
from headrace.online.packing_keys import record_keys
from headrace.timeline.arrays import Ints
from headrace.timeline.packed import Layout
from headrace.timeline.packed_record import STEPS, TILES
from headrace.timeline.packed_tiles import SINCE, STEPS_LENGTH

Elements = Mapping[str, pl.DataFrame]
WORTH_BYTES = 4096
"""Tiles are merged in some fifty microseconds, a step is found in two: a few bytes are not worth that."""


def pack_tiles(
    fingerprint: str, layout: Layout, keys: Sequence[str], steps: pl.DataFrame, elements: Elements, since: int,
    cut_off: bool | pl.Series = False,
) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
    """Pack the steps until an instant, and what windows hold from then on, of many entities.

    Parameters
    ----------
    fingerprint, layout, keys, cut_off
        As of `pack_steps`; the layout has tile sets.
    steps : frame
        As of `pack_steps`: all with ``valid_from <= since``, the one in force then among them. Later ones are left out.
    elements : mapping of str to frame
        What an engine carries from the frontier, by feature; see `headrace.online.packing_elements.held_tiles`.
    since : int
        `headrace.timeline.packed_layouts.tiles_since` the frontier: from then on only windows change.

    Yields
    ------
    key, body : bytes
        The record's key in the store, and the body of a layer of kind `TILES`; in the order of `steps`.

    Raises
    ------
    DefinitionError
        If the frames do not have the layout's columns.
    OverflowRefusedError
        If the whole numbers of an entity's tiles might add up to more than 64 bits.
    """
    check_columns(layout, keys, steps)
    known = _until(prepared(keys, steps, cut_off), since)
    first = record_starts(keys, known)
    held = held_tiles(layout, keys, entities_of(keys, known, first), elements, since)
    yield from _packed(fingerprint, layout, keys, known, held, since)


def pack_shorter(
    fingerprint: str, layout: Layout, keys: Sequence[str], steps: pl.DataFrame, elements: Elements, since: int,
    cut_off: bool | pl.Series = False, worth_bytes: int = WORTH_BYTES,
) -> Iterator[tuple[bytes, int, bytes]]:  # fmt: skip
    """Pack each entity as tiles where that is shorter, else as steps; what is not chosen is counted, never packed.

    Parameters
    ----------
    steps : frame
        As of `pack_steps`, those scheduled after `since` among them.
    fingerprint, layout, keys, elements, since, cut_off
        As of `pack_tiles`. For a layout without tile sets `elements` is not looked at.
    worth_bytes : int
        By how many bytes tiles must be shorter, besides one.

    Yields
    ------
    key : bytes
        The record's key in the store.
    kind : int
        `STEPS` or `TILES`.
    body : bytes
        A layer's body. Records of steps come first, each kind in the order of `steps`.

    Raises
    ------
    DefinitionError
        If the frames do not have the layout's columns.
    """
    check_columns(layout, keys, steps)
    known = prepared(keys, steps, cut_off)
    first = record_starts(keys, known)
    if not layout.tile_sets or known.is_empty():
        yield from ((key, STEPS, body) for key, body in pack_steps(fingerprint, layout, keys, steps, cut_off))
        return
    held = held_tiles(layout, keys, entities_of(keys, known, first), elements, since)
    tiled = bytes_saved(layout, known, first, held, since) > worth_bytes
    row_tiled = pl.Series(np.repeat(tiled, np.diff(first)))
    as_steps, as_tiles = known.filter(~row_tiled), _until(known.filter(row_tiled), since)
    stepped = pack_steps(fingerprint, layout, keys, as_steps, as_steps[CUT])
    packed = _packed(fingerprint, layout, keys, as_tiles, [each.of(tiled) for each in held], since)
    yield from chain(((k, STEPS, body) for k, body in stepped), ((k, TILES, body) for k, body in packed))


def bytes_saved(layout: Layout, steps: pl.DataFrame, first: Ints, held: Sequence[HeldTiles], since: int) -> Ints:
    """By how many bytes each record of tiles is shorter than one of all steps, lists among their values left out.

    Nothing where a sum of whole numbers might not fit, or no step is in force at `since`.
    """
    after = steps["valid_from"].to_physical().to_numpy() > since
    bytes_a_step = np.full(len(steps), layout.codec.stride, dtype=np.int64)
    for field, each in zip(layout.fields, layout.codec.stored, strict=True):
        bytes_a_step += lengths(steps[field.name]) if each.in_heap else 0
    scheduled = np.add.reduceat(np.where(after, bytes_a_step, 0), first[:-1])
    tiled: Ints = sum((each.sizes() for each in held), np.full(len(first) - 1, STEPS_LENGTH.size + SINCE.size))
    fits = ~np.logical_or.reduce([each.too_large for each in held])
    return np.where(fits & ~after[first[:-1]], scheduled - tiled, 0)


def _until(steps: pl.DataFrame, since: int) -> pl.DataFrame:
    return steps.filter(pl.col("valid_from").to_physical() <= since)


def _packed(
    fingerprint: str, layout: Layout, keys: Sequence[str], steps: pl.DataFrame, held: Sequence[HeldTiles], since: int
) -> Iterator[tuple[bytes, bytes]]:
    if any(each.too_large.any() for each in held):
        raise OverflowRefusedError(
            "the whole numbers of a window might add up to more than 64 bits: pack the steps instead of tiles."
        )
    first = record_starts(keys, steps)
    for low, high in chunks(first):
        part, own = steps[first[low] : first[high]], first[low : high + 1] - first[low]
        stepped = bodies(layout, part, own)
        pieces = [piece for each in held for piece in each.pieces(low, high)]
        sizes = [STEPS_LENGTH.pack(len(body)) for body in stepped]
        ends = [SINCE.pack(since)] * len(stepped)
        packed = map(b"".join, zip(sizes, stepped, ends, *pieces, strict=True))
        entities = entities_of(keys, part, own)
        yield from zip(record_keys(fingerprint, entities), packed, strict=True)
