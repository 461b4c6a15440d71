"""A record's layers: what a view's entity has at some publications, the newest first.

::

    >u4 generation, >u8 epoch of the newest layer | >u8 expires_at | u8 number of layers | layers
    layer: >u4 generation, >u8 epoch | u8 kind | >u4 length of the body | body

The first 20 bytes are the header of `headrace.online.base`. A reader takes the newest layer that its view's head has
reached: so all records of a view change at once, when the head is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from headrace.timeline.packed_types import CorruptRecordError

GONE, STEPS, TILES = range(3)
"""The kinds of bodies: none, as the entity has no value any more; `packed_steps`; `packed_tiles`."""

FIRST_LAYER: Final = struct.Struct(">IQQBIQBI")
"""A record until the body of its newest layer."""
LAYER: Final = struct.Struct(">IQBI")
HEADER_BYTES: Final = 20


class Layer(NamedTuple):
    """One layer of a record.

    Parameters
    ----------
    stamp : tuple of int
        Generation and epoch of the publication.
    kind : int
        `GONE`, `STEPS` or `TILES`.
    start, end : int
        Where its body is in the record.
    """

    stamp: tuple[int, int]
    kind: int
    start: int
    end: int


def layers(record: bytes | memoryview) -> Iterator[Layer]:
    """The layers of a record, newest first.

    Raises
    ------
    CorruptRecordError
        If the record is shorter or longer than its layers, or has none.
    """
    if len(record) <= HEADER_BYTES or not record[HEADER_BYTES]:
        raise CorruptRecordError(f"a record of {len(record)} bytes has no layer")
    place = HEADER_BYTES + 1
    for _ in range(record[HEADER_BYTES]):
        if place + LAYER.size > len(record):
            raise CorruptRecordError(f"a record of {len(record)} bytes ends before its layers do")
        generation, epoch, kind, length = LAYER.unpack_from(record, place)
        start = place + LAYER.size
        place = start + length
        yield Layer((generation, epoch), kind, start, place)
    if place != len(record):
        raise CorruptRecordError(f"a record of {len(record)} bytes has layers of {place}")


def visible(record: bytes | memoryview, head: tuple[int, int]) -> tuple[int, int, int]:
    """The kind of the newest layer that a head has reached, and where its body begins and ends.

    `GONE` where there is none. All layers are walked, so that a record that was cut short is noticed.

    Raises
    ------
    CorruptRecordError
        If the record is shorter or longer than its layers, or has none.
    """
    n, unpack, found = record[HEADER_BYTES], LAYER.unpack_from, None
    place, size = HEADER_BYTES + 1, LAYER.size
    for _ in range(n):
        generation, epoch, kind, length = unpack(record, place)
        start = place + size
        place = start + length
        if found is None and (generation, epoch) <= head:
            found = kind, start, place
    if place != len(record) or not n:
        raise CorruptRecordError(f"a record of {len(record)} bytes has {n} layers that end at {place}")
    return found or (GONE, place, place)
