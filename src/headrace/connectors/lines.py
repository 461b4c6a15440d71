"""Text files as numbered lines, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from headrace.connectors.base import PIECE_BYTES, RAW, ROW
from headrace.connectors.files import unreadable
from headrace.errors import SourceError

_BOM: Final = b"\xef\xbb\xbf"
_NEVER: Final = "\x01"


def line_pieces(path: Path, block_bytes: int = PIECE_BYTES) -> Iterator[pl.DataFrame]:
    """Read a UTF-8 file as frames of its lines (`RAW`) and their numbers from 1 (`ROW`).

    Blank lines are left out, but counted. A line is never cut.

    Raises
    ------
    SourceError
        If the file can't be read, or is not UTF-8: names the line.
    """
    first = 1
    for block in blocks(path, block_bytes):
        check_utf8(path, block, first)
        lines = _split(block)
        yield (
            pl.DataFrame({RAW: lines})
            .with_columns(pl.int_range(first, first + len(lines), dtype=pl.Int64).alias(ROW))
            .filter(pl.col(RAW).is_not_null())
        )
        first += len(lines)


def blocks(path: Path, block_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """Read a file in blocks that end with a line's end (the last one may not)."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_BOM))
            rest = b"" if start == _BOM else start
            while (read := _next_block(stream, rest, block_bytes)) is not None:
                block, rest = read
                yield block
    except OSError as error:
        raise unreadable(path, error) from error


def _next_block(stream: BinaryIO, rest: bytes, block_bytes: int) -> tuple[bytes, bytes] | None:
    while True:
        more = stream.read(block_bytes)
        if not more:
            return (rest, b"") if rest else None
        cut = more.rfind(b"\n") + 1
        if cut:
            return rest + more[:cut], more[cut:]
        rest += more


def check_utf8(path: Path, block: bytes, first: int) -> None:
    """Refuse text of another encoding.

    Raises
    ------
    SourceError
        Naming the line of the first byte that is not UTF-8.
    """
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        raise SourceError(
            f"{path}, line {line}: byte 0x{block[error.start]:02x} is not UTF-8. Save the file as UTF-8, "
            "e.g. iconv -f latin1 -t utf-8."
        ) from None


def _split(block: bytes) -> pl.Series:
    if _NEVER.encode() in block:
        lines = pl.Series(RAW, block.decode("utf-8").removesuffix("\n").split("\n"), dtype=pl.String)
        lines = lines.str.strip_suffix("\r")
        return lines.set(lines == "", None)
    frame = pl.read_csv(
        block, separator=_NEVER, has_header=False, quote_char=None, schema={RAW: pl.String}, raise_if_empty=False
    )
    return frame.to_series()
