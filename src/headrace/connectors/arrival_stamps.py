"""When a log of files took each of its lines: a first member of the line's object, which is no column of the row.

A topic keeps that beside a record. A file has lines alone, so whoever pushes a row puts it in front, and whoever reads
the line takes it off again: ``{"_hr_appended":1767600000000000,"event_id":"a"}``, in microseconds since 1970 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from headrace.connectors.base import RAW
from headrace.connectors.streams import APPENDED, RECEIVED

BEFORE: Final = f'{{"{APPENDED}":'
STAMP_BYTES: Final = len(BEFORE) + 16
"""How long it is: its digits are sixteen from 2001 to 2286."""
MALFORMED: Final = "no stamp of its arrival"
_STAMP: Final = rf'^\{{"{APPENDED}":(\d{{16}})(?:,|(\}}$))'
_PARSED: Final = re.compile(_STAMP.replace("$", "").encode())


def stamped(lines: Sequence[bytes], time_us: int) -> list[bytes]:
    """Lines with an object each, with a stamp in front of their members."""
    before = f"{BEFORE}{time_us:016d}".encode()
    return [before + (b"}" if line == b"{}" else b"," + line[1:]) for line in lines]


def stamp_of(line: bytes) -> int | None:
    """The stamp with which a line begins; None if it has none."""
    found = _PARSED.match(line)
    return None if found is None else int(found[1])


def unstamped(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines (`RAW`) as they were pushed, and when the log took each (`APPENDED`): null where nobody said it.

    Only a stamp as `stamped` makes it is one; anything else of its name stays in the line, and its row is refused.
    """
    if not lines[RAW].str.starts_with(BEFORE).any():
        return lines.with_columns(pl.lit(None, RECEIVED[APPENDED]).alias(APPENDED))
    times = pl.col(RAW).str.extract(_STAMP).cast(pl.Int64).cast(RECEIVED[APPENDED])
    return lines.with_columns(pl.col(RAW).str.replace(_STAMP, "{${2}"), times.alias(APPENDED))
