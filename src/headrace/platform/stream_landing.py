"""Landing what a stream gave: records into bronze, in one commit with the positions behind them.

That commit alone says how far a stream has been read: it is there with its records or not at all, and once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.streams import APPENDED, PARTITION
from headrace.errors import ConflictError, LakeError
from headrace.platform.crash_points import crash_point
from headrace.platform.landing import ARRIVED, BATCH, DAY
from headrace.platform.ledger import STREAM, Batch, Piece, batch_of, newest_first
from headrace.quality.base import UTC

if TYPE_CHECKING:
    from headrace.lake.base import Commit, Table

WHOLE_EVERY: Final = 100
_POSITIONS: Final = "positions"
"""In the commits of some epochs: where to go on in every partition. The others say what they moved."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Records that were read from a stream, between two positions in each partition.

    Parameters
    ----------
    frame : polars.DataFrame
        As `headrace.connectors.streams.RECEIVED`.
    starts, ends : mapping of str to int
        By partition.
    behind : int
        How many offsets (bytes, of files) there were behind `ends` when that was asked last.
    """

    frame: pl.DataFrame
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    behind: int = 0

    def moved(self, positions: Mapping[str, int]) -> dict[str, int]:
        """The ends that differ from positions that are known; a new partition has moved if anything was read."""
        return {name: end for name, end in self.ends.items() if end != positions.get(name, self.starts[name])}


@dataclass(frozen=True, slots=True)
class Head:
    """How far bronze has a stream.

    Parameters
    ----------
    epoch : int
        The number of the last commit; 0 before the first.
    positions : mapping of str to int
        By partition, where to go on.
    batch : Batch, optional
        What the last commit landed.
    """

    epoch: int = 0
    positions: Mapping[str, int] = field(default_factory=dict)
    batch: Batch | None = None

    @classmethod
    def read(cls, bronze: Table) -> Head:
        """Read it from the newest commits of bronze."""
        epoch = bronze.transaction_version(STREAM) or 0
        batches: list[Batch] = []
        for commit in newest_first(bronze) if epoch else ():
            batch = batch_of(commit)
            if batch is not None and batch.is_streamed:
                batches.append(batch)
                if _POSITIONS in commit.metadata:
                    return cls(epoch, _positions(commit, batches), batches[0])
        if epoch:
            raise LakeError(f"{bronze.location}: none of its commits says how far its stream was read.")
        return cls()

    def after(self, taken: Taken, arrived_us: int) -> Head:
        """The head once these records are landed."""
        rows = dict(taken.frame[PARTITION].value_counts().iter_rows())
        epoch, ends = self.epoch + 1, taken.moved(self.positions)
        pieces = tuple(_piece(epoch, name, taken.starts[name], end, rows.get(name, 0)) for name, end in ends.items())
        return Head(epoch, {**self.positions, **ends}, Batch(_batch_id(pieces, epoch), -1, arrived_us, pieces, epoch))


def land_taken(bronze: Table, head: Head, taken: Taken, arrived_us: int) -> Head:
    """Commit records to bronze.

    Parameters
    ----------
    bronze : Table
        The table.
    head : Head
        How far it had the stream when they were read.
    taken : Taken
        The records.
    arrived_us : int
        When they were read: their arrival, where the log did not measure it.

    Returns
    -------
    Head
        How far it has the stream now.

    Raises
    ------
    ConflictError
        If another process landed what follows `head` first.
    """
    after = head.after(taken, arrived_us)
    assert after.batch is not None
    frame = _as_bronze(taken.frame, after.batch)
    crash_point("before bronze file")
    staged = [bronze.stage(frame, {DAY: str(frame[DAY][0])})] if frame.height else []
    crash_point("before bronze commit")
    is_whole = after.epoch % WHOLE_EVERY == 1
    version = bronze.commit(
        staged,
        schema=frame.schema,
        mode="append",
        partition_by=[DAY],
        metadata=after.batch.metadata() | ({_POSITIONS: json.dumps(dict(after.positions))} if is_whole else {}),
        transaction=after.batch.transaction,
    )
    crash_point("after bronze commit")
    if version is None:
        bronze.discard(staged)
        raise ConflictError(
            f"{bronze.location}: another process took epoch {after.epoch} of the stream meanwhile. One follower a "
            "source is enough: stop the other one, then run this again."
        )
    return replace(after, batch=replace(after.batch, version=version))


def _as_bronze(frame: pl.DataFrame, batch: Batch) -> pl.DataFrame:
    moment = pl.lit(batch.arrived_us).cast(UTC)
    return frame.with_columns(
        pl.lit(batch.id).alias(BATCH), pl.coalesce(APPENDED, moment).alias(ARRIVED), moment.dt.date().alias(DAY)
    )


def _positions(commit: Commit, batches: list[Batch]) -> dict[str, int]:
    """The positions of the oldest of some batches' commit, moved on by the others, newest first."""
    found: dict[str, int] = json.loads(commit.metadata[_POSITIONS])
    for batch in reversed(batches[:-1]):
        found |= {piece.name: piece.end for piece in batch.pieces}
    return found


def _piece(epoch: int, name: str, start: int, end: int, rows: int) -> Piece:
    return Piece(name, f"{epoch}:{name}:{start}-{end}", 0, 0, 0, rows, is_last=True, start=start, end=end)


def _batch_id(pieces: tuple[Piece, ...], epoch: int) -> str:
    """Ids in the order of their epochs, so that files which are laid out by them hold few epochs each."""
    import xxhash

    digest = xxhash.xxh3_64("|".join(piece.digest for piece in pieces).encode()).hexdigest()
    return f"stream-{epoch:08d}-{digest[:8]}"
