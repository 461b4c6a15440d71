"""Landing: the files of a source into bronze as they came, in batches of bounded size.

A batch is named by its content and committed once, so a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.base import PIECE_BYTES, PIECE_ROWS, Reader
from headrace.connectors.files import InputFile, digest, list_files, no_files_message
from headrace.connectors.streams import APPENDED
from headrace.definitions.sources import ChangeSource, SnapshotSource, Source
from headrace.errors import SchemaChangedError, SourceError
from headrace.platform.crash_points import crash_point
from headrace.platform.ledger import Batch, Content, Ledger, Piece

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context

DAY: Final = "_hr_day"
FILE, ROW, BATCH, ARRIVED = "_hr_file", "_hr_row", "_hr_batch", "_hr_arrived"
BATCH_ROWS: Final = PIECE_ROWS
BATCH_BYTES: Final = 2 * PIECE_BYTES
_SETTLED_NS: Final = 2_000_000_000
"""A file that was changed this long before it arrived can't have been changed again within the same tick."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file whose content is not in bronze yet."""

    file: InputFile
    digest: str
    issue: int = 0

    @property
    def content(self) -> Content:
        """As `Piece.content`."""
        return (self.digest, _day(self.file), self.issue)

    def piece(self, number: int, rows: int, *, is_last: bool) -> Piece:
        """A part of the file."""
        file = self.file
        return Piece(
            file.name, self.digest, file.size_bytes, file.modified_ns, number, rows, is_last, _day(file), self.issue
        )


def new_files(context: Context, source: Source, ledger: Ledger) -> list[NewFile]:
    """The files of a source whose content has not landed, in order.

    Raises
    ------
    SourceError
        If there is no file and never was, or one changed that can't be told from its old content.
    """
    assert source.batch is not None
    listed = list_files(context.root, source.batch)
    if not listed and (not ledger.batches or not any(mark in source.batch.pattern for mark in "*?[{")):
        raise SourceError(no_files_message(context.root, source.where, source.batch))
    known, finished = ledger.newest_by_name(), ledger.finished()
    found: dict[Content, NewFile] = {}
    for file in listed:
        before = known.get(file.name)
        if before and _is_unchanged(file, *before):
            continue
        new = _told_apart(source, file, ledger)
        if new.content in finished:
            continue
        if before and not _may_change(source):
            raise _changed(source, file)
        found[new.content] = new
    return list(found.values())


def land(context: Context, source: Source, reader: Reader, files: list[NewFile], progress: Progress) -> list[Batch]:
    """Commit new files to bronze.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        Whose files they are.
    reader : Reader
        For their format.
    files : list of NewFile
        From `new_files`.
    progress : callable
        Called with the rows read and the bytes of the files that were finished.

    Returns
    -------
    list of Batch
        What was committed.

    Raises
    ------
    SourceError
        If a file can't be read; nothing of it will be refined.
    """
    bronze = context.lake.table("bronze", source.name)
    arrived_us = context.clock()
    there = Ledger.read(bronze).piece_keys()
    pieces = (item for item in _pieces(source, reader, files, progress) if item[0].key not in there)
    return [
        _commit(bronze, source, group, arrived_us) for group in _grouped(pieces, isinstance(source, SnapshotSource))
    ]


def _told_apart(source: Source, file: InputFile, ledger: Ledger) -> NewFile:
    """A file with its digest; a snapshot's with the issue that it is, or would be."""
    new = NewFile(file, digest(file.path))
    if not isinstance(source, SnapshotSource):
        return new
    issues = ledger.issues(_day(file))
    is_in_force = bool(issues) and issues[-1].digest == new.digest
    return replace(new, issue=len(issues) - is_in_force)


def _is_unchanged(file: InputFile, piece: Piece, arrived_us: int) -> bool:
    same = (file.size_bytes, file.modified_ns) == (piece.size_bytes, piece.modified_ns)
    return same and file.modified_ns < arrived_us * 1_000 - _SETTLED_NS


def _may_change(source: Source) -> bool:
    return isinstance(source, SnapshotSource | ChangeSource) or bool(source.identity)


def _changed(source: Source, file: InputFile) -> SourceError:
    return SourceError(
        f"{file.name} was changed after it was ingested, and {source.where} has no dedupe_on to tell its new rows from "
        "those that are there already. Put new rows into new files, or name the columns that identify a row. "
        "Nothing was published."
    )


def _day(file: InputFile) -> str:
    return file.day.isoformat() if file.day else ""


def _pieces(
    source: Source, reader: Reader, files: list[NewFile], progress: Progress
) -> Iterator[tuple[Piece, pl.DataFrame]]:
    rows = done_bytes = 0
    for new in files:
        frames = _with_end(new.file, reader.pieces(new.file.path))
        file_rows = 0
        for number, (frame, is_last) in enumerate(frames):
            file_rows += frame.height
            if is_last and not file_rows and isinstance(source, SnapshotSource):
                raise SourceError(
                    f"{new.file.path} has no rows: as the truth of its day it would end every row of {source.where}. "
                    "Write it again, or remove it."
                )
            piece = new.piece(number, frame.height, is_last=is_last)
            yield piece, frame.with_columns(pl.lit(new.file.name).alias(FILE))
            progress(rows + file_rows, done_bytes + (new.file.size_bytes if is_last else 0))
        rows += file_rows
        done_bytes += new.file.size_bytes


def _with_end(file: InputFile, frames: Iterable[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, bool]]:
    """The frames, and whether each is the last one; at least one, if need be an empty one."""
    last: pl.DataFrame | None = None
    for frame in frames:
        if last is not None:
            yield last, False
        last = frame
    status = file.path.stat()
    if (status.st_size, status.st_mtime_ns) != (file.size_bytes, file.modified_ns):
        raise SourceError(f"{file.path} was changed while it was read. Run it again once it is written.")
    yield pl.DataFrame(schema={ROW: pl.Int64}) if last is None else last, True


def _grouped(
    pieces: Iterable[tuple[Piece, pl.DataFrame]], one_file_each: bool
) -> Iterator[list[tuple[Piece, pl.DataFrame]]]:
    """Neighbours together, as long as a batch stays within its bounds. A snapshot is a batch of its own."""
    group: list[tuple[Piece, pl.DataFrame]] = []
    rows = size_bytes = 0
    for piece, frame in pieces:
        more_bytes = int(frame.estimated_size())
        too_large = rows + piece.rows > BATCH_ROWS or size_bytes + more_bytes > BATCH_BYTES
        if group and (piece.content != group[0][0].content if one_file_each else too_large):
            yield group
            group, rows, size_bytes = [], 0, 0
        group.append((piece, frame))
        rows, size_bytes = rows + piece.rows, size_bytes + more_bytes
    if group:
        yield group


def _commit(bronze: Table, source: Source, group: list[tuple[Piece, pl.DataFrame]], arrived_us: int) -> Batch:
    pieces = tuple(piece for piece, _ in group)
    batch = Batch(_batch_id(pieces), -1, arrived_us, pieces)
    moment = pl.lit(arrived_us).cast(pl.Datetime("us", "UTC"))
    frame = pl.concat([frame for _, frame in group if frame.height] or [group[0][1]], how="diagonal")
    frame = frame.with_columns(pl.lit(batch.id).alias(BATCH), _arrived(frame, moment), moment.dt.date().alias(DAY))
    _check_types(bronze, source, frame)
    crash_point("before bronze file")
    staged = [bronze.stage(frame, {DAY: str(frame[DAY][0])})] if frame.height else []
    crash_point("before bronze commit")
    version = bronze.commit(
        staged,
        schema=frame.schema,
        mode="append",
        partition_by=[DAY],
        metadata=batch.metadata(),
        transaction=(f"batch:{batch.id}", 1),
    )
    crash_point("after bronze commit")
    if version is None:
        bronze.discard(staged)
    return batch


def _arrived(frame: pl.DataFrame, landed: pl.Expr) -> pl.Expr:
    """When rows arrived: where a log took them before they landed as files, then."""
    measured = [APPENDED] if APPENDED in frame.columns else []
    return pl.coalesce(*measured, landed).alias(ARRIVED)


def _batch_id(pieces: tuple[Piece, ...]) -> str:
    import xxhash

    return xxhash.xxh3_128("|".join(map(str, (piece.key for piece in pieces))).encode()).hexdigest()[:16]


def _check_types(bronze: Table, source: Source, frame: pl.DataFrame) -> None:
    if not bronze.exists():
        return
    known = bronze.schema()
    for name, dtype in frame.schema.items():
        if name in known and known[name] != dtype:
            raise SchemaChangedError(
                f"{frame[FILE][0]}: column '{name}' is {dtype}, and was {known[name]} in the files of {source.where} "
                "before. Write it as it was, or ingest it as a new source. Nothing was published."
            )
