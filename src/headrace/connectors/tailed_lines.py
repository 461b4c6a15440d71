"""The whole lines of a file that is being written, from a byte of it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
import polars as pl

from headrace.connectors.base import RAW
from headrace.connectors.streams import OFFSET
from headrace.connectors.texts import texts
from headrace.errors import StreamError

BLOCK_BYTES: Final = 1024 * 1024
LONGEST_LINE_BYTES: Final = 64 * 1024 * 1024
_LAST_BYTES: Final = 16 * 1024
_NEWLINE: Final = b"\n"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file.

    Parameters
    ----------
    frame : polars.DataFrame
        Their text (`RAW`) and where they begin (`OFFSET`); blank ones are left out.
    count : int
        How many they are, blank ones included.
    end : int
        The place behind the last one.
    """

    frame: pl.DataFrame
    count: int
    end: int


def whole_end(stream: BinaryIO, size: int) -> int:
    """The place behind the last whole line of the first `size` bytes."""
    end = size
    while end:
        start = max(0, end - _LAST_BYTES)
        stream.seek(start)
        found = stream.read(end - start).rfind(_NEWLINE)
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def begins_line(stream: BinaryIO, place: int) -> bool:
    """Whether a line begins at a place."""
    if not place:
        return True
    stream.seek(place - 1)
    return stream.read(1) == _NEWLINE


def next_lines(stream: BinaryIO, start: int, end: int, most: int, where: str) -> Lines | None:
    """Read some whole lines; None if there is none.

    Parameters
    ----------
    stream : binary file
        The file.
    start, end : int
        Where a line begins, and where to stop at the latest.
    most : int
        How many lines at most.
    where : str
        The file, for messages.

    Raises
    ------
    StreamError
        If a line is too long to be one.
    """
    stream.seek(start)
    data = stream.read(min(BLOCK_BYTES, end - start))
    while (last := data.rfind(_NEWLINE)) < 0:
        if len(data) > LONGEST_LINE_BYTES:
            raise StreamError(
                f"{where}: no line ends in the {len(data)} bytes behind byte {start}. That is no file of JSON lines: "
                "take it out of the stream's pattern."
            )
        more = stream.read(min(BLOCK_BYTES, end - start - len(data)))
        if not more:
            return None
        data += more
    ends = np.flatnonzero(np.frombuffer(data, np.uint8, last + 1) == _NEWLINE[0])[:most]
    begins = np.concatenate([[0], ends[:-1] + 1])
    text = data[len(_BOM) if start == 0 and data.startswith(_BOM) else 0 : ends[-1]]
    lines = texts(text.split(_NEWLINE)).str.strip_suffix("\r")
    frame = pl.DataFrame({RAW: lines, OFFSET: start + begins})
    return Lines(frame.filter(pl.col(RAW) != ""), len(ends), start + int(ends[-1]) + 1)
