"""Refining: a batch of bronze to silver and quarantine, by the source's contract.

Quarantine is committed first, then silver: the commit of silver is what makes a batch done. Each is
committed once, however often a run is killed and repeated.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.base import Decoded
from headrace.connectors.columns import NAIVE_TIME, OUT_OF_RANGE, WRONG_TYPE
from headrace.connectors.headers import added_column_error
from headrace.definitions.fingerprint import source_fingerprint
from headrace.definitions.sources import Source
from headrace.errors import RejectedError, SchemaChangedError
from headrace.lake.reading import collect
from headrace.platform import quarantine_table, silver
from headrace.platform.decoding import is_whole, reader_of, with_origin
from headrace.platform.landing import BATCH, DAY, FILE, ROW
from headrace.platform.ledger import Batch
from headrace.platform.rejected_share import Share, rejected_share
from headrace.quality.base import AVAILABLE, KNOWN, OP, POSITION
from headrace.quality.contract import judge, split
from headrace.quality.dedupe import without_copies
from headrace.quality.masking import mask_frame
from headrace.quality.times import end_of_day, late_rows, with_known, with_times

if TYPE_CHECKING:
    from headrace.lake.base import Lake, Table

INGEST: Final = "ingest"
_SHOWN_REASONS: Final = 8


@dataclass(slots=True)
class Counts:
    """What happened to rows.

    Attributes
    ----------
    read, accepted, duplicates, late : int
        Rows from bronze; new in silver; left out as copies; known later than ``max_lateness``.
    rejected : Counter
        Reasons with their column, and how many rows failed for each.
    rejected_rows : int
        How many rows went to quarantine.
    added : dict of str to str
        Columns that are not declared, and their types.
    seconds : Counter
        By stage.
    """

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    late: int = 0
    rejected_rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    added: dict[str, str] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage."""
        started = time.perf_counter()
        yield
        self.seconds[stage] += time.perf_counter() - started  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Refiner:
    """Refines the batches of one source.

    Parameters
    ----------
    lake : Lake
        Where bronze and quarantine are.
    source : Source
        The contract.
    target : Table
        Silver, or what will become it.
    replayed : mapping of str to mapping
        By batch, the rows (file, row) that were replayed from quarantine, and when: they are known then.
    counts : Counts
        Is added to.
    """

    lake: Lake
    source: Source
    target: Table
    replayed: Mapping[str, pl.DataFrame]
    counts: Counts

    def refine(self, batch: Batch) -> None:
        """Take one batch to silver and quarantine.

        Raises
        ------
        RejectedError
            If too many rows fail; they are in quarantine then, and silver has none of the batch.
        SchemaChangedError
            If a column was dropped, retyped, or added where that stops.
        """
        timed = self.counts.timed
        with timed("read bronze"):
            received = bronze_rows(self.lake.table("bronze", self.source.name), batch)
        with timed("decode"):
            decoded = self._decoded(received, batch)
        with timed("contract"):
            rows = self._with_times(decoded, received, batch)
            failures = judge(self.source, rows, decoded.failures, decoded.added)
            accepted, rejected = split(rows, failures)
        self._quarantine(batch, decoded, failures, rejected)
        with timed("mask"):
            masked = with_known(mask_frame(accepted, self.source), self.source)
        with timed("dedupe"):
            kept, replaced = self._deduplicated(masked, batch)
        with timed("write silver"):
            frame = as_silver(self.source, kept, decoded.added)
            note = {"operation": INGEST, "batch": batch.id} | hashes(self.source)
            silver.write(self.target, frame, replaced, metadata=note, transaction=batch.transaction)
        self._count(decoded, failures, rejected, masked, kept)

    def _decoded(self, received: pl.DataFrame, batch: Batch) -> Decoded:
        decoded = reader_of(self.source, batch).decode(received, whole=is_whole(batch))
        if decoded.added and self.source.on_added_column == "stop":
            raise added_column_error(self.source, f"batch {batch.id} ({', '.join(batch.files[:3])})", decoded.added)
        return decoded

    def _with_times(self, decoded: Decoded, received: pl.DataFrame, batch: Batch) -> pl.DataFrame:
        frame = with_times(with_origin(decoded, received), self.source, batch.day)
        known = self.replayed.get(batch.id)
        if known is None:
            return frame
        joined = frame.join(known, on=[FILE, ROW], how="left", maintain_order="left", suffix="_replayed")
        return joined.with_columns(pl.coalesce(f"{AVAILABLE}_replayed", AVAILABLE).alias(AVAILABLE))

    def _deduplicated(self, masked: pl.DataFrame, batch: Batch) -> tuple[pl.DataFrame, silver.Replacement]:
        unique = without_copies(masked, silver.identity(self.source), self.source.dedupe_within_us)
        if batch.day is not None:
            taken: datetime = end_of_day(batch.day, self.source.timezone)
            return unique, silver.snapshot_rows(self.target, taken)
        return silver.unseen(self.target, self.source, unique)

    def _quarantine(self, batch: Batch, decoded: Decoded, failures: pl.DataFrame, rejected: pl.DataFrame) -> None:
        table = self.lake.table("quarantine", self.source.name)
        share = rejected_share(self.lake, self.source, batch, rejected.height)
        stopped = share.is_above(self.source.max_rejected_share)
        with self.counts.timed("quarantine"):
            kept = rejected.head(quarantine_table.MOST_ROWS_OF_A_STOPPED_BATCH) if stopped else rejected
            rows = quarantine_table.as_quarantined(self.source, kept)
            digest = f"{source_fingerprint(self.source)}:{'stopped' if stopped else 'kept'}"
            note = {"stopped": str(rejected.height) if stopped else "", "operation": INGEST}
            quarantine_table.write(table, batch.id, rows, note, digest)
        if stopped:
            raise _stop(self.source, batch, decoded, failures, share)

    def _count(
        self, decoded: Decoded, failures: pl.DataFrame, rejected: pl.DataFrame, masked: pl.DataFrame, kept: pl.DataFrame
    ) -> None:
        counts = self.counts
        counts.read += decoded.frame.height
        counts.accepted += kept.height
        counts.duplicates += masked.height - kept.height
        counts.late += late_rows(kept, self.source)
        counts.rejected_rows += rejected.height
        counts.rejected.update(reasons(failures))
        if self.source.on_added_column == "evolve":
            counts.added |= {name: str(decoded.frame.schema[name]) for name in decoded.added}


def hashes(source: Source) -> dict[str, str]:
    """What silver was made by: the whole definition, and the part that decides what its rows mean.

    The contract is not in that part: rows are judged by the contract of their day, and can be replayed
    from quarantine when it was mended.
    """
    lax = replace(source, contract=(), required=None, max_future=0, on_added_column="evolve")
    return {"source_hash": source_fingerprint(source), "meaning_hash": source_fingerprint(lax)}


def bronze_rows(bronze: Table, batch: Batch) -> pl.DataFrame:
    """The rows of a batch as they came, in their order."""
    files = [file for file in bronze.files() if file.may_hold(BATCH, batch.id, batch.id)] if batch.rows else []
    rows = collect(bronze.scan_files(files).filter(pl.col(BATCH) == batch.id), bronze)
    if len(files) == 1 and files[0].rows == batch.rows:
        return rows  # as it was landed
    order = {name: place for place, name in enumerate(batch.files)}
    place = pl.col(FILE).replace_strict(order, return_dtype=pl.Int64)
    return rows.sort(place, ROW)


def as_silver(source: Source, frame: pl.DataFrame, added: tuple[str, ...]) -> pl.DataFrame:
    """Rows in the columns of silver."""
    evolved = {name: frame.schema[name] for name in added} if source.on_added_column == "evolve" else {}
    schema = silver.silver_schema(source, evolved)
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in (OP, POSITION) if name not in frame.columns]
    return frame.with_columns(*absent, pl.col(KNOWN).dt.date().alias(DAY)).select(list(schema)).cast(schema)


def reasons(failures: pl.DataFrame) -> Counter[str]:
    """How many rows failed for each reason, by column."""
    counted = failures.group_by("reason", "column").agg(pl.col("index").n_unique().alias("rows"))
    return Counter({_reason_text(r["reason"], r["column"]): r["rows"] for r in counted.to_dicts()})


def _reason_text(reason: str, column: str | None) -> str:
    return reason if column is None or reason.startswith(f"{column} ") else f"{column}: {reason}"


def _stop(
    source: Source, batch: Batch, decoded: Decoded, failures: pl.DataFrame, share: Share
) -> RejectedError | SchemaChangedError:
    retyped = _retyped(source, decoded, failures)
    place = f"{source.where}, batch {batch.id} ({', '.join(batch.files[:3])}{', …' if len(batch.files) > 3 else ''})"
    if retyped is not None:
        found = failures.filter(pl.col("column") == retyped)["found"][0]
        return SchemaChangedError(
            f"{place}: no value of column '{retyped}' is a {source.schema[retyped]} any more; the first is {found}. "
            "Restore it upstream, or change the schema. Nothing was published."
        )
    counted = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons(failures).most_common(_SHOWN_REASONS))
    hint = " Say timezone='Europe/Paris' (theirs) in the source if their times are local." if _naive(failures) else ""
    return RejectedError(
        f"{place}: {share} are rejected; at most {source.max_rejected_share:.1%} may be. Reasons: {counted}.{hint} "
        f"Nothing of it was published. See `headrace quarantine show {source.name}`; mend the definition or the input, "
        "then ingest again."
    )


def _naive(failures: pl.DataFrame) -> bool:
    return bool((failures["reason"] == NAIVE_TIME).any())


def _retyped(source: Source, decoded: Decoded, failures: pl.DataFrame) -> str | None:
    """A column in which there were values, and every one was of a wrong type."""
    wrong = failures.filter(pl.col("reason").is_in([WRONG_TYPE, OUT_OF_RANGE]))["column"].unique().to_list()
    return next((name for name in source.schema if name in wrong and not decoded.frame[name].count()), None)
