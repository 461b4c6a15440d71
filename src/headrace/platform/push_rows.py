"""Rows as the lines of JSON in which a stream's reader expects them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headrace.errors import SourceError
from headrace.platform.push_report import RefusedRow

if TYPE_CHECKING:
    import polars as pl

    from headrace.definitions.sources import Source

LONGEST_ROW_BYTES: Final = 512 * 1024
TOO_LONG: Final = f"longer than {LONGEST_ROW_BYTES:,} bytes"
NO_ROW: Final = "no row: an object of columns is needed"
NO_NUMBER: Final = "no finite number"
NO_VALUE: Final = "no value that can be written"
_NOTHING: Final = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows on the way to a log.

    Parameters
    ----------
    lines : list of bytes
        A JSON object each.
    refused : tuple of RefusedRow
        Rows that are none; they have a line without columns.
    columns : frozenset of str
        The columns that some row had.
    """

    lines: list[bytes]
    refused: tuple[RefusedRow, ...]
    columns: frozenset[str]


def lines_of(source: Source, rows: Any) -> Lines:
    """Make lines of rows; a declared column that a row has not is null.

    Parameters
    ----------
    source : Source
        Whose rows they are.
    rows : sequence of mapping, frame or path
        Mappings by column; a Polars, Arrow or pandas frame; or a file of JSON lines. Values of `msgspec.Raw` are
        written as they came.

    Raises
    ------
    SourceError
        If it is none of these, or the file can't be read.
    """
    blank = dict.fromkeys(source.schema, _NOTHING)
    lines, refused, columns = [], list[RefusedRow](), set[str]()
    for number, row in enumerate(_listed(rows), 1):
        if not isinstance(row, Mapping):
            refused.append(RefusedRow(number, "", NO_ROW, repr(row)[:80]))
            lines.append(b"{}")
            continue
        columns.update(map(str, row))
        line, wrong = _line(number, {**blank, **row})
        refused += wrong
        lines.append(b"{}" if wrong else line)
    return Lines(lines, tuple(refused), frozenset(columns))


def _line(number: int, row: dict[Any, Any]) -> tuple[bytes, list[RefusedRow]]:
    """A row's line, or what is wrong with it."""
    wrong = [
        RefusedRow(number, str(name), NO_NUMBER, str(value)) for name, value in row.items() if not _is_finite(value)
    ]
    if wrong:
        return b"", wrong
    try:
        line = msgspec.json.encode(row, enc_hook=_plain)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return b"", list(_unwritable(number, row))
    if len(line) > LONGEST_ROW_BYTES:
        return b"", [RefusedRow(number, "", TOO_LONG, f"{len(line):,} bytes")]
    # Raw values may have ends of line between them; within text there are none.
    return (line.translate(_ONE_LINE) if b"\n" in line or b"\r" in line else line), []


_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")


def _unwritable(number: int, row: Mapping[Any, Any]) -> Iterator[RefusedRow]:
    for name, value in row.items():
        try:
            msgspec.json.encode({name: value}, enc_hook=_plain)
        except (TypeError, ValueError, OverflowError, RecursionError):
            yield RefusedRow(number, str(name), NO_VALUE, repr(value)[:80])


def _is_finite(value: Any) -> bool:
    """Whether JSON has a number for each that is in it: a NaN would silently become null."""
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy and the like as Python's."""
    if not hasattr(value, "tolist"):
        raise TypeError(type(value).__name__)
    found = value.tolist()
    if not _is_finite(found):
        raise ValueError(NO_NUMBER)
    return found


def _listed(rows: Any) -> Iterable[Any]:
    if isinstance(rows, str | Path):
        return _of_file(Path(rows))
    if isinstance(rows, Sequence):
        return rows
    return _of_frame(rows).iter_rows(named=True)


def _of_frame(rows: Any) -> pl.DataFrame:
    import polars as pl

    if isinstance(rows, pl.LazyFrame):
        rows = rows.collect()
    try:
        made = pl.DataFrame(rows) if isinstance(rows, Mapping) else rows
        frame = made if isinstance(made, pl.DataFrame) else _converted(made)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"Can't push {type(rows).__name__}: {error}. Push a list of dicts, a frame of Polars, Arrow or pandas, or "
            "the path of a file of JSON lines."
        ) from error
    return frame


def _converted(rows: Any) -> pl.DataFrame:
    import polars as pl

    is_pandas = type(rows).__module__.partition(".")[0] == "pandas"
    found = pl.from_pandas(rows) if is_pandas else pl.from_arrow(rows)
    if not isinstance(found, pl.DataFrame):
        raise TypeError("it is one column")
    return found


def _of_file(path: Path) -> list[Any]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} can't be read: {error.strerror or error}. Check the file.") from error
    return rows_of_text(text)


def rows_of_text(text: bytes) -> list[Any]:
    """The rows in lines of JSON; a line that is no object is refused later, by its number."""
    return [_parsed(line) for line in text.splitlines() if line.strip()]


def _parsed(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line.decode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return line.decode(errors="replace")
