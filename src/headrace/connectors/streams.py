"""What every stream offers: records by partition and offset, read up to a bound and again just so.

A stream has partitions, each an append-only log. A record has an offset in its partition; offsets grow, and need not
be without gaps. A *position* is the offset of the next record to be read, so ``[start, end)`` holds all that was
read between two positions. Which records a range holds never changes, but for those that have aged out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import polars as pl

from headrace.connectors.base import RAW, ROW

PARTITION: Final = "_hr_file"
"""The partition of a record, as bronze names files: ``topic/3``, or a file's name."""
OFFSET: Final = ROW
"""The offset of a record in its partition."""
APPENDED: Final = "_hr_appended"
"""When the log itself took the record; null where the log does not measure that."""
RECEIVED: Final = pl.Schema(
    [(RAW, pl.String()), (PARTITION, pl.String()), (OFFSET, pl.Int64()), (APPENDED, pl.Datetime("us", "UTC"))]
)
"""The columns of received records: the text as it came, and its origin. Records without a value (tombstones) are left
out; bytes that are no UTF-8 come as text with replacement characters, which no contract accepts."""

Range = tuple[int, int]


class Bounds(NamedTuple):
    """What of a partition can be read.

    Parameters
    ----------
    earliest : int
        The offset of the oldest record that is kept.
    head : int
        The position behind the newest record that may be read.
    """

    earliest: int
    head: int


@dataclass(frozen=True, slots=True)
class Received:
    """Records that were read.

    Parameters
    ----------
    frame : polars.DataFrame
        In the columns `RECEIVED`, by partition and offset.
    ends : mapping of str to int
        For each partition that was asked for, the position behind what was read.
    """

    frame: pl.DataFrame
    ends: Mapping[str, int] = field(default_factory=dict)


class Stream(Protocol):
    """Reads one topic, or one directory of files. Used by one thread at a time."""

    @property
    def location(self) -> str:
        """Where it is, for people: without a password."""

    @property
    def measures_arrival(self) -> bool:
        """Whether the log itself stamps each record with the time at which it took it, so `APPENDED` is there.

        Raises
        ------
        StreamError
            If the log can't be asked.
        """

    def bounds(self) -> dict[str, Bounds]:
        """What can be read of each partition now, by partition, sorted.

        Raises
        ------
        StreamError
            If the topic is not there, or the log can't be asked.
        """

    def poll(self, positions: Mapping[str, int], most_rows: int, wait_seconds: float) -> Received:
        """Read on from some positions; return at once with what is there, wait where there is nothing.

        Parameters
        ----------
        positions : mapping of str to int
            Where to go on in each partition that is to be read, and in no other.
        most_rows : int
            How many records at most, of all partitions together.
        wait_seconds : float
            How long to gather, and to wait for a first record; an empty frame after that.

        Raises
        ------
        AgedOutError
            If the record at a position is not kept any more.
        StreamError
            If a partition is not there, or the log can't be read.
        """

    def read(self, ranges: Mapping[str, Range]) -> Received:
        """Read just the records in some ranges ``[start, end)``: the same ones each time.

        Raises
        ------
        AgedOutError
            If a part of a range is not kept any more.
        StreamError
            If a partition is not there, a range ends behind its head, or the log can't be read.
        """

    def position_at(self, partition: str, time_us: int) -> int:
        """The position of the first record of a partition that the log took at a time or later; its head if none.

        The earliest position where the log does not measure that.
        """

    def close(self) -> None:
        """Let go of it."""
