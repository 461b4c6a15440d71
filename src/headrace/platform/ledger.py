"""What of a source is in bronze: read from the metadata of bronze's own commits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.lake.base import Commit, Table, Transaction

LAND: Final = "land"
STREAM: Final = "stream"
"""The application whose transactions are the epochs of a stream."""
Content = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, or a range of a stream's partition, as it was landed.

    Attributes
    ----------
    name : str
        The file's, or the partition's.
    digest : str
        Of the file's whole content; of a range, what tells it from all others.
    size_bytes, modified_ns : int
        The file's, when it was read.
    number : int
        Which piece of the file, from 0.
    rows : int
        How many it has.
    is_last : bool
        Whether the file ends with it.
    day : str
        The day of a snapshot, else empty.
    issue : int
        How many files of that day came before: the first content may come back after a second.
    start, end : int
        The positions between which a partition was read; of a file, none.
    """

    name: str
    digest: str
    size_bytes: int
    modified_ns: int
    number: int
    rows: int
    is_last: bool
    day: str = ""
    issue: int = 0
    start: int = -1
    end: int = -1

    @property
    def content(self) -> Content:
        """What makes two files the same: their content and, for snapshots, their day and issue."""
        return (self.digest, self.day, self.issue)

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What makes two pieces the same."""
        return (*self.content, self.number)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit of bronze landed.

    Attributes
    ----------
    id : str
        A digest of its pieces' contents.
    version : int
        Bronze's.
    arrived_us : int
        When it arrived.
    pieces : tuple of Piece
        In order.
    epoch : int
        The number, from 1, of what came by a stream; 0 for files.
    """

    id: str
    version: int
    arrived_us: int
    pieces: tuple[Piece, ...]
    epoch: int = 0

    @property
    def is_streamed(self) -> bool:
        """Whether it came by a stream."""
        return self.epoch > 0

    @property
    def transaction(self) -> Transaction:
        """What commits it once. A table keeps each name for good, so the epochs of a stream share one."""
        return (STREAM, self.epoch) if self.is_streamed else (f"batch:{self.id}", 1)

    def is_in(self, table: Table) -> bool:
        """Whether a table, such as silver, has committed it."""
        name, number = self.transaction
        return (table.transaction_version(name) or 0) >= number

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def day(self) -> date | None:
        """The day of its snapshot."""
        return date.fromisoformat(self.pieces[0].day) if self.pieces[0].day else None

    @property
    def files(self) -> list[str]:
        """The names of its files."""
        return list(dict.fromkeys(piece.name for piece in self.pieces))

    def metadata(self) -> dict[str, str]:
        """As it is written into bronze's commit."""
        pieces = json.dumps([list(asdict(piece).values()) for piece in self.pieces])
        return {
            "operation": LAND,
            "batch": self.id,
            "rows": str(self.rows),
            "arrived_us": str(self.arrived_us),
            "pieces": pieces,
            **({"epoch": str(self.epoch)} if self.is_streamed else {}),
        }


@dataclass(frozen=True)
class Ledger:
    """The batches of a source in bronze, in the order in which they came.

    A file counts once all its pieces are there: one that was never finished is as if it had not come.

    Parameters
    ----------
    batches : tuple of Batch
        All of them.
    """

    batches: tuple[Batch, ...]

    @classmethod
    def read(cls, bronze: Table) -> Ledger:
        """Read it from bronze; empty where there is none."""
        return cls(tuple(_batches(bronze)))

    def piece_keys(self) -> set[tuple[str, str, int, int]]:
        """The pieces that are there."""
        return {piece.key for piece in self._pieces()}

    def finished(self) -> set[Content]:
        """The contents that are there whole."""
        there = self.piece_keys()
        lasts = (piece for piece in self._pieces() if piece.is_last)
        return {piece.content for piece in lasts if all((*piece.content, n) in there for n in range(piece.number))}

    def complete(self) -> list[Batch]:
        """The batches whose files are all there whole, in order."""
        finished = self.finished()
        return [batch for batch in self.batches if all(piece.content in finished for piece in batch.pieces)]

    def newest_by_name(self) -> dict[str, tuple[Piece, int]]:
        """For each file's name the newest content that is there whole, and when it arrived."""
        finished = self.finished()
        return {
            piece.name: (piece, batch.arrived_us)
            for batch in self.batches
            for piece in batch.pieces
            if piece.content in finished and not batch.is_streamed
        }

    def issues(self, day: str) -> list[Piece]:
        """The first pieces of the files of a day that are there whole, in order."""
        return [batch.pieces[0] for batch in self.complete() if batch.pieces[0].day == day]

    def in_force(self) -> dict[str, Batch]:
        """For each day of a snapshot source the batch that came last."""
        return {batch.pieces[0].day: batch for batch in self.complete()}

    def _pieces(self) -> Iterator[Piece]:
        return (piece for batch in self.batches for piece in batch.pieces)


def batch_of(commit: Commit) -> Batch | None:
    """The batch that a commit of bronze landed; None for other commits."""
    note = commit.metadata
    if note.get("operation") != LAND:
        return None
    pieces: list[list[Any]] = json.loads(note["pieces"])
    epoch = int(note.get("epoch", 0))
    return Batch(note["batch"], commit.version, int(note["arrived_us"]), tuple(Piece(*p) for p in pieces), epoch)


def newest_first(table: Table) -> Iterator[Commit]:
    """The commits of a table, the last one first, read one by one; none where there is no table."""
    if table.exists():
        for version in range(table.version(), -1, -1):
            yield table.commit_at(version)


def _batches(bronze: Table) -> Iterator[Batch]:
    found = (batch_of(commit) for commit in bronze.commits())
    return (batch for batch in found if batch is not None)
