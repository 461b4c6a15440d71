"""What every online store can do: keep values by key, none of which is replaced by an older one.

A value begins with a header of 20 bytes, big-endian: its stamp (generation, 4 bytes, and epoch, 8
bytes) and the instant at which it expires (8 bytes, microseconds UTC, 0 for never). The store reads
the header and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

_HEADER: Final = struct.Struct(">IQQ")
HEADER_BYTES: Final = _HEADER.size
STAMP_BYTES: Final = 12
"""A value's first bytes, which compare as stamps do."""


class Stamp(NamedTuple):
    """Which of two values is the newer one: ordered by generation, then epoch.

    Parameters
    ----------
    generation : int
        Raised by a rollback or a new load, which fences off older writers.
    epoch : int
        Grows with each publication (for views without a stream, the gold table's version).
    """

    generation: int
    epoch: int


def header(stamp: Stamp, expires_at: int = 0) -> bytes:
    """The header of a value.

    Examples
    --------
    >>> header(Stamp(1, 7))[:STAMP_BYTES] < header(Stamp(2, 0))[:STAMP_BYTES]
    True
    """
    return _HEADER.pack(stamp.generation, stamp.epoch, expires_at)


def stamp_of(value: bytes | memoryview) -> Stamp:
    """The stamp in a value's header."""
    generation, epoch, _ = _HEADER.unpack_from(value)
    return Stamp(generation, epoch)


def expires_at(value: bytes | memoryview) -> int:
    """When a value expires, in microseconds UTC; 0 for never."""
    return int(_HEADER.unpack_from(value)[2])


class OnlineStore(Protocol):
    """A map from keys to values. Every method may raise `OnlineStoreError`."""

    @property
    def location(self) -> str:
        """Where it is, for people: without a password."""

    @property
    def reads_one_state(self) -> bool:
        """Whether `get_many` reads all its keys from one state of the store.

        Where it does not, as in stores of many machines, each key is read whole, at some instant between call and
        return, and never as it was before a write that had returned before the call. Then who must not mix two
        versions reads the records, and afterwards the heads again: they name no other version than the one with which
        the reading began, or what was read is thrown away. That is enough, as a writer puts records before it puts
        the head that shows them, keeps in them what the head before showed, and never goes back to an earlier head.
        """

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys; None where there is none. All are from one state, if `reads_one_state`.

        A value that has expired may still be there: who reads it looks at its header.
        """

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write values, except over one with a greater stamp; returns how many were refused.

        What is `lasting` stays in the store though it expires, until who wrote it deletes it: that is faster where a
        store would remove it by itself. Readers may see some of the items before others. Keys that come sorted are
        written faster.
        """

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix and their values, in no order that can be relied upon."""

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete keys; returns how many were there."""

    def sweep(self, prefix: bytes, now: int) -> int:
        """Delete what expired before `now` (microseconds UTC) below a prefix; returns how many there were.

        A store that expires by itself has nothing to do.
        """

    def close(self) -> None:
        """Let go of the store."""
