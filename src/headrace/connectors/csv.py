"""CSV with a header. Bronze keeps every value as text; a record of the wrong length keeps its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from headrace.connectors.base import FAILURES, LONGEST_FOUND, PIECE_BYTES, RAW, ROW, UNPARSABLE, Decoded
from headrace.connectors.columns import parse_text
from headrace.connectors.headers import check_columns
from headrace.connectors.lines import blocks, check_utf8
from headrace.definitions.sources import Source
from headrace.errors import SourceError

_QUOTE: Final = b'"'


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Reads comma-separated values. An empty field is null.

    Parameters
    ----------
    source : Source
        Whose columns the header must name; their order is free.
    """

    source: Source

    def pieces(self, path: Path) -> Iterator[pl.DataFrame]:
        """The records as text; see `Reader.pieces`."""
        header: list[str] = []
        line, records = 1, 0
        for block in _record_blocks(path):
            check_utf8(path, block, line)
            rest = block
            if not header:
                header, rest, lines = _header(path, block)
                check_columns(self.source, path, header)
                line += lines
            frame = _records(rest, header, line)
            line += rest.count(b"\n")
            records += frame.height
            if frame.height:
                yield frame
        if not records:
            what = "has a header and no rows" if header else "is empty: it has not even a header"
            raise SourceError(f"{path} {what}. Remove the file, or write it again.")

    def decode(self, received: pl.DataFrame, *, whole: bool = True) -> Decoded:
        """Parse the text of each column; see `Reader.decode`."""
        columns, failures = [], [_broken(received)]
        for name, dtype in self.source.schema.items():
            values, failed = parse_text(received[name], dtype, self.source.timezone)
            columns.append(values)
            failures.append(failed)
        added = tuple(c for c in received.columns if c not in self.source.schema and not c.startswith("_hr_"))
        return Decoded(pl.DataFrame([*columns, *received.select(added).get_columns()]), pl.concat(failures), added)


def _record_blocks(path: Path) -> Iterator[bytes]:
    """Blocks that end with a record: a quoted line's end is none."""
    rest = b""
    for block in blocks(path, PIECE_BYTES):
        whole = rest + block
        if whole.count(_QUOTE) % 2 == 0:
            yield whole
            rest = b""
        else:
            cut = _last_record_end(whole)
            if cut:
                yield whole[:cut]
            rest = whole[cut:]
    if rest:
        yield rest


def _last_record_end(block: bytes) -> int:
    """The last line's end that an even number of quotes comes before."""
    quotes, end = block.count(_QUOTE), len(block)
    while True:
        cut = block.rfind(b"\n", 0, end - 1) + 1
        quotes -= block.count(_QUOTE, cut, end)
        if cut == 0 or quotes % 2 == 0:
            return cut
        end = cut


def _header(path: Path, block: bytes) -> tuple[list[str], bytes, int]:
    text = io.StringIO(block.decode("utf-8"), newline="")
    names = next(csv.reader(text), [])
    if not any(names):
        raise SourceError(f"{path} has no header in its first line. Write one: the names of the columns.")
    consumed = len(block.decode("utf-8")[: text.tell()].encode()) if _QUOTE in block else block.find(b"\n") + 1
    consumed = consumed or len(block)
    return names, block[consumed:], block.count(b"\n", 0, consumed)


def _records(block: bytes, header: list[str], line: int) -> pl.DataFrame:
    if _QUOTE in block or b"\x01" in block:
        return _quoted_records(block, header, line)
    lines = _lines(block)
    numbered = pl.DataFrame({RAW: lines, ROW: pl.int_range(line, line + len(lines), dtype=pl.Int64, eager=True)})
    numbered = numbered.filter(pl.col(RAW).is_not_null())
    good = numbered[RAW].str.count_matches(",", literal=True) == len(header) - 1
    if good.all():
        return _parsed(numbered[RAW], header).with_columns(numbered[ROW], pl.lit(None, dtype=pl.String).alias(RAW))
    right, wrong = numbered.filter(good), numbered.filter(~good)
    parsed = _parsed(right[RAW], header).with_columns(right[ROW], pl.lit(None, dtype=pl.String).alias(RAW))
    empty = wrong.select(*(pl.lit(None, dtype=pl.String).alias(name) for name in header), ROW, RAW)
    return pl.concat([parsed, empty]).sort(ROW)


def _lines(block: bytes) -> pl.Series:
    options = {"separator": "\x01", "has_header": False, "quote_char": None, "raise_if_empty": False}
    return pl.read_csv(block, schema={RAW: pl.String}, **options).to_series()  # type: ignore[arg-type]


def _parsed(lines: pl.Series, header: list[str]) -> pl.DataFrame:
    schema = dict.fromkeys(header, pl.String())
    if not len(lines):
        return pl.DataFrame(schema=schema)
    if len(header) == 1:
        return pl.DataFrame({header[0]: lines})
    return pl.read_csv(lines.str.join("\n").item().encode(), has_header=False, quote_char=None, schema=schema)


def _quoted_records(block: bytes, header: list[str], line: int) -> pl.DataFrame:
    """Records one by one: only so a quoted line's end and a missing field are told apart for certain."""
    text = block.decode("utf-8")
    reader = csv.reader(io.StringIO(text, newline=""))
    values: list[list[str | None]] = []
    rows: list[int] = []
    raws: list[str | None] = []
    first = 0
    for record in reader:
        if record:
            right = len(record) == len(header)
            values.append([value or None for value in record] if right else [None] * len(header))
            raws.append(None if right else ",".join(record))
            rows.append(line + first)
        first = reader.line_num
    columns = dict(zip(header, zip(*values, strict=True), strict=True)) if values else dict.fromkeys(header, ())
    frame = pl.DataFrame(columns, schema=dict.fromkeys(header, pl.String()))
    return frame.with_columns(pl.Series(ROW, rows, dtype=pl.Int64), pl.Series(RAW, raws, dtype=pl.String))


def _broken(received: pl.DataFrame) -> pl.DataFrame:
    index = received[RAW].is_not_null().arg_true()
    nothing = pl.lit(None, dtype=pl.String)
    return pl.DataFrame({"index": index}, schema={"index": pl.UInt32}).select(
        "index",
        pl.lit(UNPARSABLE).alias("reason"),
        nothing.alias("column"),
        received[RAW].gather(index).str.head(LONGEST_FOUND).alias("found"),
    ).select(FAILURES.names())  # fmt: skip
