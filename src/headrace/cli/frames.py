"""How frames of features are printed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from headrace.cli.output import print_records

if TYPE_CHECKING:
    import polars as pl


def print_frame(frame: pl.DataFrame, *, title: str, empty: str) -> None:
    """Print the rows of a frame: times to the microsecond, numbers to six digits, whole ones as they are."""
    columns = {column.name: _aligned(column) for column in frame.get_columns()}
    records = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    print_records(records, title=title, empty=empty)


def _aligned(column: pl.Series) -> list[str]:
    texts = [text_of(value) for value in column.to_list()]
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts] if column.dtype.is_numeric() else texts


def text_of(value: Any) -> str:
    """A value as it is printed."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    return f"{value:.6g}" if isinstance(value, float) else str(value)
