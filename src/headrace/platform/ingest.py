"""Ingesting: new files to bronze as they came, then bronze to silver and quarantine by the contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from headrace.connectors.base import open_reader
from headrace.definitions.sources import Source
from headrace.errors import NotAppliedError, SourceError
from headrace.platform.landing import FILE, ROW, NewFile, land, new_files
from headrace.platform.ledger import Batch, Ledger, newest_first
from headrace.platform.refining import Counts, Refiner, hashes
from headrace.platform.remaking import remake
from headrace.platform.turns import ingest_turn
from headrace.quality.base import AVAILABLE, UTC

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Progress:
    """How far ingesting a source has come.

    Attributes
    ----------
    source : str
        Its name.
    stage : {"land", "refine"}
        What is being done.
    rows : int
        Rows done in this stage.
    done, total : int
        Bytes of the files while landing, rows while refining.
    """

    source: str
    stage: str
    rows: int
    done: int
    total: int


Listener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What ingesting one source did.

    Attributes
    ----------
    source : str
        Its name.
    files, batches : int
        New files landed, and batches refined.
    rows_read, accepted, duplicates, rejected_rows, late : int
        Rows of the refined batches; new in silver; left out as copies; in quarantine; accepted but
        known later than ``max_lateness``.
    rejected : dict of str to int
        Reasons, and how many rows failed for each; a row may have several.
    added_columns : dict of str to str
        Columns that are not declared and were kept, with their types.
    seconds : dict of str to float
        By stage.
    """

    source: str
    files: int
    batches: int
    rows_read: int
    accepted: int
    duplicates: int
    rejected_rows: int
    late: int
    rejected: dict[str, int]
    added_columns: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did, source by source."""

    sources: tuple[SourceReport, ...]

    def __getitem__(self, source: str) -> SourceReport:
        """The report of one source."""
        return next(report for report in self.sources if report.source == source)


def ingest(
    context: Context, source_name: str | None = None, *, rebuild: bool = False, progress: Listener | None = None
) -> IngestReport:
    """Take new files of sources to silver.

    Running it again without new files changes nothing. A run that is killed at any moment is
    completed by the next one, with the same result.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str, optional
        The source; all that have files by default.
    rebuild : bool
        Make silver again from bronze, under the definitions as they are now; readers see the old
        silver until the new one is complete.
    progress : callable, optional
        Called as it goes.

    Returns
    -------
    IngestReport

    Raises
    ------
    SourceError
        If files can't be read (`SchemaChangedError`: columns were dropped or retyped; `RejectedError`:
        too many rows fail). Nothing of the batch is published.
    NotAppliedError
        If the source was defined otherwise when silver was written: says how to rebuild it.
    ConflictError
        If the same source is being ingested already, but for a follower, whose epochs leave room for it.
    LakeError
        If the lake can't be written; nothing half-written is visible.
    """
    sources = _chosen(context, source_name, rebuild=rebuild)
    return IngestReport(tuple(_ingest_one(context, source, rebuild, progress or _ignore) for source in sources))


def _chosen(context: Context, name: str | None, *, rebuild: bool) -> list[Source]:
    """The sources that have files; to rebuild, also those that have only a stream."""
    if name is None:
        return [s for s in context.definitions.sources.values() if s.batch is not None or (rebuild and s.stream)]
    source = context.definitions.source(name)
    if source.batch is None and source.stream is None:
        raise SourceError(f"{source.where} has no files: give it batch=hr.Files('landing/{name}/*.parquet').")
    if source.batch is None and not rebuild:
        raise SourceError(f"{source.where} has a stream and no files. Run: headrace ingest {name} --follow")
    return [source]


def _ingest_one(context: Context, source: Source, rebuild: bool, progress: Listener) -> SourceReport:
    counts = Counts()
    with ingest_turn(context.lake, source.name):
        silver = context.lake.table("silver", source.name)
        if not rebuild:
            check_definition(source, silver)
        files = _landed(context, source, counts, progress)
        ledger = Ledger.read(context.lake.table("bronze", source.name))
        refiner = Refiner(context.lake, source, silver, replays(silver), counts)
        if rebuild:
            batches = remake(refiner, ledger.complete(), _refining(source, progress))
        else:
            batches = _refined(refiner, ledger, silver, _refining(source, progress))
    return report_of(source, counts, files=len(files), batches=len(batches))


def _landed(context: Context, source: Source, counts: Counts, progress: Listener) -> list[NewFile]:
    if source.batch is None:
        return []
    bronze = context.lake.table("bronze", source.name)
    with counts.timed("list files"):
        files = new_files(context, source, Ledger.read(bronze))
    total = sum(new.file.size_bytes for new in files)
    with counts.timed("land"):
        land(
            context,
            source,
            open_reader(source, source.batch),
            files,
            lambda rows, done: progress(Progress(source.name, "land", rows, done, total)),
        )
    return files


def _refined(refiner: Refiner, ledger: Ledger, silver: Table, progress: Callable[[int, int], None]) -> list[Batch]:
    todo = unrefined(ledger, silver)
    total, done = sum(batch.rows for batch in todo), 0
    for batch in todo:
        refiner.refine(batch)
        done += batch.rows
        progress(done, total)
    return todo


def unrefined(ledger: Ledger, silver: Table) -> list[Batch]:
    """The whole batches of bronze that silver does not have yet, in order."""
    done = set(_refined_ids(silver))
    return [batch for batch in ledger.complete() if batch.id not in done]


def _refined_ids(silver: Table) -> list[str]:
    found: list[str] = []
    for commit in silver.commits():
        if commit.metadata.get("operation") == "rebuild":
            found = json.loads(commit.metadata["batches"])
        elif commit.metadata.get("operation") == "ingest":
            found.append(commit.metadata["batch"])
    return found


def check_definition(source: Source, silver: Table) -> None:
    """Refuse to add to silver under another definition than it was written by, but for the contract.

    Raises
    ------
    NotAppliedError
        With the command that makes silver again.
    """
    found = next((c.metadata["meaning_hash"] for c in newest_first(silver) if "meaning_hash" in c.metadata), None)
    if found is not None and found != hashes(source)["meaning_hash"]:
        raise NotAppliedError(
            f"{source.where} was changed since its silver was written, which would hold rows of both kinds. "
            f"Make it again from bronze: headrace ingest {source.name} --rebuild"
        )


def replays(silver: Table) -> dict[str, pl.DataFrame]:
    """By batch, which rows were replayed from quarantine, and when: from silver's own commits."""
    found: dict[str, list[pl.DataFrame]] = {}
    for commit in silver.commits():
        note = commit.metadata
        if note.get("operation") == "replay":
            known = pl.lit(int(note["available_us"])).cast(UTC).alias(AVAILABLE)
            rows = pl.DataFrame(json.loads(note["origins"]), schema={FILE: pl.String, ROW: pl.Int64}, orient="row")
            found.setdefault(note["batch"], []).append(rows.with_columns(known))
    return {batch: pl.concat(frames).unique([FILE, ROW], keep="first") for batch, frames in found.items()}


def _refining(source: Source, progress: Listener) -> Callable[[int, int], None]:
    return lambda done, total: progress(Progress(source.name, "refine", done, done, total))


def report_of(source: Source, counts: Counts, *, files: int, batches: int) -> SourceReport:
    """What was done for a source."""
    return SourceReport(
        source.name, files, batches, counts.read, counts.accepted, counts.duplicates, counts.rejected_rows, counts.late,
        dict(counts.rejected.most_common()), counts.added, {stage: round(s, 4) for stage, s in counts.seconds.items()},
    )  # fmt: skip


def _ignore(_: Progress) -> None:
    """Nobody listens."""
