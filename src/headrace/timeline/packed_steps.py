"""Steps as bytes: rows of one width, so that the step in force is found without reading the others.

::

    u8 flags (bit 0: earlier steps were cut off) | u32 number of steps | rows, oldest first | heap
    row: i64 valid_from | i64 event_time | bitmap of nulls | a slot for each feature

Numbers are little-endian, times are microseconds UTC. What slots and the heap hold is in `packed_types`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np

from headrace.timeline.packed_types import LENGTH_SHIFT, NUMPY_CODES, OFFSET_MASK, CorruptRecordError, stored
from headrace.types import DataType

HEAD: Final = struct.Struct("<BI")
CUT_OFF: Final = 1
NO_TIME: Final = -(2**63)
"""Stands for an event time that is null."""
_TIME: Final = struct.Struct("<q")
_BITMAPS: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Step(NamedTuple):
    """One step of an entity.

    Parameters
    ----------
    valid_from : int
        From when it holds, in microseconds.
    event_time : int or None
        When its newest row happened; None where no row is left.
    values : tuple
        A Python value a feature, None for null.
    """

    valid_from: int
    event_time: int | None
    values: tuple[Any, ...]


class StepsCodec:
    """Packs and reads the steps of features of given types.

    Parameters
    ----------
    types : sequence of DataType
        One a feature.
    """

    def __init__(self, types: Sequence[DataType]) -> None:
        self.stored = tuple(stored(dtype) for dtype in types)
        width = bitmap_bytes(len(types))
        self._wide = width not in _BITMAPS
        codes = [_BITMAPS.get(width, f"{width}s"), *(each.code for each in self.stored)]
        self._row = struct.Struct("<qq" + "".join(codes))
        self.stride = self._row.size
        self.has_heap = any(each.in_heap for each in self.stored)
        self._special = [(i, each) for i, each in enumerate(self.stored) if each.decode is not None]
        self.as_it_is = not self._special and not self._wide
        self.unpack_row = self._row.unpack_from
        self.unpack_only_row = struct.Struct(f"{HEAD.format}{self._row.format.removeprefix('<')}").unpack_from

    def row_dtype(self) -> np.dtype[np.void]:
        """A row as a numpy structure: ``valid_from``, ``event_time``, ``nulls`` (bytes) and ``f0``, ``f1``, …."""
        fields: list[tuple[Any, ...]] = [("valid_from", "<i8"), ("event_time", "<i8")]
        fields.append(("nulls", "u1", (bitmap_bytes(len(self.stored)),)))
        for i, each in enumerate(self.stored):
            code = NUMPY_CODES.get(each.code)
            fields.append((f"f{i}", code) if code else (f"f{i}", "u1", (int(each.code[:-1]),)))
        return np.dtype(fields)

    def pack(self, steps: Sequence[Step], *, cut_off: bool = False) -> bytes:
        """Pack an entity's steps, oldest first.

        Parameters
        ----------
        steps : sequence of Step
            Ascending by ``valid_from``.
        cut_off : bool
            Whether there were earlier steps, which have been left out.
        """
        encoded = [self._encoded(step.values) for step in steps]
        heap = [
            b"".join(values[i] for values in encoded if values[i] is not None) if each.in_heap else b""
            for i, each in enumerate(self.stored)
        ]
        next_offset = [0, *accumulate(map(len, heap))]
        rows = [self._packed_row(step, values, next_offset) for step, values in zip(steps, encoded, strict=True)]
        return b"".join([HEAD.pack(CUT_OFF if cut_off else 0, len(steps)), *rows, *heap])

    def _encoded(self, values: Sequence[Any]) -> list[Any]:
        pairs = zip(values, self.stored, strict=True)
        return [value if value is None or each.encode is None else each.encode(value) for value, each in pairs]

    def _packed_row(self, step: Step, encoded: Sequence[Any], next_offset: list[int]) -> bytes:
        """A row; moves on where each feature's next bytes will be."""
        nulls, slots = 0, list(encoded)
        for i, (value, each) in enumerate(zip(encoded, self.stored, strict=True)):
            if value is None:
                nulls |= 1 << i
                slots[i] = b"" if each.code.endswith("s") else 0
            elif each.in_heap:
                slots[i] = next_offset[i] | len(value) << LENGTH_SHIFT
                next_offset[i] += len(value)
        bitmap = nulls.to_bytes(bitmap_bytes(len(slots)), "little") if self._wide else nulls
        return self._row.pack(step.valid_from, NO_TIME if step.event_time is None else step.event_time, bitmap, *slots)

    def rows(self, record: bytes | memoryview, start: int, end: int) -> tuple[int, int, int]:
        """The flags, the number of steps, and where rows end, of a body at ``record[start:end]``.

        Raises
        ------
        CorruptRecordError
            If the rows reach beyond the body.
        """
        flags, n = HEAD.unpack_from(record, start)
        heap = start + HEAD.size + n * self.stride
        if heap > end or (heap != end and not self.has_heap):
            raise CorruptRecordError(f"{n} steps of {self.stride} bytes are not what {end - start} bytes hold")
        return flags, n, heap

    def find(self, record: bytes | memoryview, first: int, n: int, time_us: int) -> int:
        """Where the last row with ``valid_from <= time_us`` is, among `n` from `first` on; `first` if there is none."""
        low, high = 0, n
        stride, unpack = self.stride, _TIME.unpack_from
        while high - low > 1:
            middle = (low + high) // 2
            if unpack(record, first + middle * stride)[0] <= time_us:
                low = middle
            else:
                high = middle
        return first + low * stride

    def values(self, row: tuple[Any, ...], record: bytes | memoryview, heap: int, end: int) -> list[Any]:
        """The Python values of an unpacked row.

        Raises
        ------
        CorruptRecordError
            If a value's bytes lie outside of the heap.
        """
        values = list(row[3:])
        nulls = int.from_bytes(row[2], "little") if self._wide else row[2]
        for i, each in self._special:
            if not nulls >> i & 1:
                raw = _heap_bytes(values[i], record, heap, end) if each.in_heap else values[i]
                values[i] = each.decode(raw)  # type: ignore[misc]
        if nulls:
            for i in range(len(values)):
                if nulls >> i & 1:
                    values[i] = None
        return values

    def all_steps(self, record: bytes | memoryview, start: int, end: int) -> list[Step]:
        """Every step of a body at ``record[start:end]``, oldest first."""
        _, n, heap = self.rows(record, start, end)
        found = []
        for place in range(start + HEAD.size, start + HEAD.size + n * self.stride, self.stride):
            row = self.unpack_row(record, place)
            values = tuple(self.values(row, record, heap, end))
            found.append(Step(row[0], None if row[1] == NO_TIME else row[1], values))
        return found


def bitmap_bytes(n_features: int) -> int:
    """How many bytes the bitmap of nulls has: 1, 2, 4, or a multiple of 8."""
    width = max(-(-n_features // 8), 1)
    return 1 << (width - 1).bit_length() if width <= 8 else -(-width // 8) * 8


def _heap_bytes(slot: int, record: bytes | memoryview, heap: int, end: int) -> bytes | memoryview:
    first = heap + (slot & OFFSET_MASK)
    last = first + (slot >> LENGTH_SHIFT)
    if last > end:
        raise CorruptRecordError("a value lies behind the end of its record")
    return record[first:last]
