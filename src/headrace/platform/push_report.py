"""What came of pushed rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from headrace.errors import SourceError

MOST_TOLD: Final = 100
"""How many refused rows are told of; the others are counted."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A reason for which a row was refused.

    Parameters
    ----------
    row : int
        Its number among those that were pushed, from 1.
    column : str
        The column; empty where it is the row as a whole.
    reason : str
        Why, as quarantine says it.
    found : str
        What was there, cut short; nothing of personal columns.
    """

    row: int
    column: str
    reason: str
    found: str = ""

    def __str__(self) -> str:
        place = f"row {self.row}" + (f", column '{self.column}'" if self.column else "")
        return f"{place}: {self.reason}" + (f" ({self.found})" if self.found else "")


@dataclass(frozen=True, slots=True)
class PushReport:
    """What was written, and whether it can be read.

    Parameters
    ----------
    source : str
        The source.
    location : str
        Where its stream is.
    rows : int
        Rows that are in the stream now, durably.
    positions : mapping of str to int
        By partition, the position behind them.
    refused : tuple of RefusedRow
        The reasons for which others were refused; none unless a part was asked for.
    refused_rows : int
        How many those are.
    undeclared : mapping of str to str
        The columns that the source does not declare, each with the nearest one that it does, or nothing.
    absent : tuple of str
        The columns that no row had. They are null.
    readable : bool or None
        Whether the served values hold the rows now; None if that was not asked.
    waited_seconds : float
        How long that was waited for.
    reason : str
        Why they are not readable.
    """

    source: str
    location: str
    rows: int
    positions: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[RefusedRow, ...] = ()
    refused_rows: int = 0
    undeclared: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    readable: bool | None = None
    waited_seconds: float = 0.0
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain data, for JSON; refused rows up to `MOST_TOLD`."""
        document = asdict(self)
        document["refused"] = document["refused"][:MOST_TOLD]
        return document


class PushRefusedError(SourceError):
    """Some rows are not as the source's contract wants them, and nothing was written.

    Parameters
    ----------
    message : str
        What is wrong, and what to do.
    refused : tuple of RefusedRow
        Every reason.
    refused_rows : int
        How many rows those are.
    """

    def __init__(self, message: str, refused: tuple[RefusedRow, ...] = (), refused_rows: int = 0) -> None:
        super().__init__(message)
        self.refused = refused
        self.refused_rows = refused_rows
