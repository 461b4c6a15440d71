"""What an Arrow stream would become in memory, looked at before it is: a short body can hold very much.

Compressed buffers, and values that many rows share, are small on the way and large here. The metadata of each message
is a FlatBuffer, of which three fields are read.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from headrace.server.errors import RequestError

if TYPE_CHECKING:
    import polars as pl

_DICTIONARY, _RECORDS = 2, 3
_CONTINUED: Final = 0xFFFFFFFF
_U16, _U32, _I32, _I64 = (struct.Struct(f"<{kind}").unpack_from for kind in "HIiq")
_HINT: Final = "Write it without compression, with plain columns of text and numbers."


def check_plain(body: bytes) -> None:
    """Refuse a stream with compressed buffers, or with dictionaries.

    Raises
    ------
    RequestError
        With 400, for these, and for what is no stream.
    """
    at = 0
    try:
        while at + 8 <= len(body):
            (length,) = _U32(body, at)
            at += 4
            if length == _CONTINUED:
                (length,) = _U32(body, at)
                at += 4
            if not length:
                return
            at += length + _checked(body, at)
    except (struct.error, IndexError):
        raise RequestError(400, f"the body is no Arrow stream: it ends, or is damaged, at byte {at:,}.") from None


def check_size(frame: pl.DataFrame, most_rows: int, most_bytes: int) -> None:
    """Refuse what is too much to be made Python values of.

    Parameters
    ----------
    frame : DataFrame
        What was read.
    most_rows, most_bytes : int
        How many rows there may be, and how much one column may hold.

    Raises
    ------
    RequestError
        With 422, for more rows, for columns that hold more, and for records.
    """
    import polars as pl

    if frame.height > most_rows:
        raise RequestError(
            422,
            f"entities: there are {frame.height:,} rows, and at most {most_rows:,} are answered at once. "
            "Ask several times, or start the server with a greater --most-rows.",
        )
    for column in frame:
        leaves = column
        while isinstance(leaves.dtype, pl.List | pl.Array):
            lists = leaves.cast(pl.List(leaves.dtype.inner)) if isinstance(leaves.dtype, pl.Array) else leaves
            _check_number(column.name, int(lists.list.len().sum() or 0), "items", most_bytes)
            leaves = lists.explode()
        if leaves.dtype.is_nested():
            raise RequestError(422, f"entities, column '{column.name}': it holds {column.dtype}. {_HINT}")
        if leaves.dtype in (pl.String, pl.Binary):
            sizes = leaves.str.len_bytes() if leaves.dtype == pl.String else leaves.bin.size()
            _check_number(column.name, int(sizes.cast(pl.Int64).sum() or 0), "bytes", most_bytes)


def _check_number(column: str, number: int, what: str, most: int) -> None:
    if number > most:
        raise RequestError(
            422, f"entities, column '{column}': it holds {number:,} {what}, and a whole request may have {most:,}."
        )


def _checked(body: bytes, at: int) -> int:
    """The length of what follows a message's metadata."""
    message = at + _U32(body, at)[0]
    kind, header, length = (_place(body, message, field) for field in (1, 2, 3))
    if kind and body[kind] == _DICTIONARY:
        raise RequestError(400, f"the body is Arrow with a dictionary, which is not read here. {_HINT}")
    if kind and header and body[kind] == _RECORDS and _place(body, header + _U32(body, header)[0], 3):
        raise RequestError(400, f"the body is compressed Arrow, which is not read here. {_HINT}")
    follows: int = _I64(body, length)[0] if length else 0
    if follows < 0:
        raise IndexError(follows)
    return follows


def _place(body: bytes, table: int, field: int) -> int:
    """Where a field of a table is; 0 where it is left out."""
    layout = table - _I32(body, table)[0]
    if layout < 0:
        raise IndexError(layout)
    entry = 4 + 2 * field
    offset: int = _U16(body, layout + entry)[0] if entry < _U16(body, layout)[0] else 0
    return table + offset if offset else 0
