"""Records as they are written: a layer for each publication that some reader may still be at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from headrace.online.base import Stamp, header
from headrace.timeline.packed_record import FIRST_LAYER, LAYER, layers

_HEADS: Final = np.dtype([
    ("generation", ">u4"), ("epoch", ">u8"), ("expires_at", ">u8"), ("layers", "u1"), ("own_generation", ">u4"),
    ("own_epoch", ">u8"), ("kind", "u1"), ("length", ">u4"),
])  # fmt: skip
"""As `headrace.timeline.packed_record.FIRST_LAYER`."""

LayerBody = tuple[Stamp, int, bytes | memoryview]
"""A layer's stamp, its kind (`headrace.timeline.packed_record`) and its body."""


def assemble(stamp: Stamp, expires_at: int, held: Iterable[LayerBody]) -> bytes:
    """A record.

    Parameters
    ----------
    stamp : Stamp
        That of the newest layer.
    expires_at : int
        When the store may forget the record, in microseconds; 0 for never. From then on no layer answers.
    held : iterable of (Stamp, int, bytes)
        The layers, newest first; at least one.

    Examples
    --------
    >>> record = assemble(Stamp(1, 7), 0, [(Stamp(1, 7), 1, b"body")])
    >>> layers_of(record)
    [(Stamp(generation=1, epoch=7), 1, b'body')]
    """
    parts: list[bytes | memoryview] = []
    for own, kind, body in held:
        parts += [LAYER.pack(own.generation, own.epoch, kind, len(body)), body]
    return b"".join([header(stamp, expires_at), bytes([len(parts) // 2]), *parts])


def first_layers(stamp: Stamp, expires: Sequence[int], kinds: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
    """What stands before the bodies of records with one layer each, many at once.

    Examples
    --------
    >>> stamp = Stamp(1, 7)
    >>> first_layers(stamp, [9], [1], [4])[0] + b"body" == assemble(stamp, 9, [(stamp, 1, b"body")])
    True
    """
    heads = np.zeros(len(kinds), dtype=_HEADS)
    for name, value in zip(_HEADS.names or (), (*stamp, expires, 1, *stamp, kinds, lengths), strict=True):
        heads[name] = value
    raw, size = heads.tobytes(), _HEADS.itemsize
    return [raw[i : i + size] for i in range(0, len(raw), size)]


def layers_of(record: bytes | memoryview) -> list[LayerBody]:
    """The layers of a record, newest first.

    Raises
    ------
    CorruptRecordError
        If the bytes are no record.
    """
    return [(Stamp(*layer.stamp), layer.kind, record[layer.start : layer.end]) for layer in layers(record)]


def with_layer(
    old: bytes | memoryview | None, head: Stamp | None, stamp: Stamp, expires_at: int, kind: int, body: bytes
) -> bytes:
    """A record with a new layer, and behind it the one that readers see until the head is written.

    Parameters
    ----------
    old : bytes-like, optional
        The record that is replaced.
    head : Stamp, optional
        The view's head; None before the first: nobody sees anything yet.
    stamp : Stamp
        That of the new layer. An old layer of the same stamp, left by a writer that was killed, is replaced.
    expires_at : int
        When the record expires, in microseconds, 0 for never; it holds for the old layer as well.
    kind : int
        The kind of the body.
    body : bytes
        What is to be read once the head has reached the stamp.

    Raises
    ------
    CorruptRecordError
        If the old bytes are no record.
    """
    if old is None or head is None:
        return FIRST_LAYER.pack(*stamp, expires_at, 1, *stamp, kind, len(body)) + body
    seen = [layer for layer in layers_of(old) if layer[0] <= head and layer[0] != stamp]
    kept = [max(seen, key=lambda layer: layer[0])] if seen else []
    return assemble(stamp, expires_at, [(stamp, kind, body), *kept])
