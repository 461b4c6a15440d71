"""Quarantine: the rows that a contract refused, why, where they came from, and giving them another chance."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from headrace.definitions.sources import SnapshotSource, Source
from headrace.errors import SourceError
from headrace.platform import quarantine_table, silver
from headrace.platform.crash_points import crash_point
from headrace.platform.decoding import reader_of, with_origin
from headrace.platform.ingest import check_definition, replays
from headrace.platform.landing import ARRIVED, BATCH, FILE, ROW
from headrace.platform.ledger import Batch, Ledger
from headrace.platform.refining import as_silver, bronze_rows, hashes
from headrace.platform.turns import ingest_turn
from headrace.quality.base import AVAILABLE, UTC
from headrace.quality.contract import judge, split
from headrace.quality.dedupe import against, without_copies
from headrace.quality.masking import mask_frame
from headrace.quality.times import with_known, with_times

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class QuarantinedReason:
    """How many quarantined rows of a source have a reason.

    Attributes
    ----------
    source, column, reason : str
        Whose rows, the column (None: the whole row) and what is wrong with it.
    rows : int
        How many.
    example : str
        What was found in one of them.
    last_arrived : datetime
        When the newest of them came.
    """

    source: str
    column: str | None
    reason: str
    rows: int
    example: str | None
    last_arrived: datetime


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay did.

    Attributes
    ----------
    source : str
        The source.
    replayed : int
        Rows that are in silver now, known since the replay.
    duplicates : int
        Rows that turned out to be copies of what is there; they left quarantine too.
    remaining : int
        Rows that fail still.
    reasons : dict of str to int
        Why.
    """

    source: str
    replayed: int
    duplicates: int
    remaining: int
    reasons: dict[str, int]


def list_quarantine(context: Context, source_name: str | None = None) -> list[QuarantinedReason]:
    """Count quarantined rows by source, column and reason, the most frequent first."""
    names = [context.definitions.source(source_name).name] if source_name else list(context.definitions.sources)
    return [reason for name in names for reason in _counted(name, context.lake.table("quarantine", name))]


def show_quarantine(context: Context, source_name: str, limit: int = 20, reason: str | None = None) -> pl.DataFrame:
    """Quarantined rows of a source: reasons, columns, what was found, the row as JSON, and its origin.

    Personal columns are not told.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str
        The source.
    limit : int
        At most so many rows, the newest batch first.
    reason : str, optional
        Only rows with a reason that contains this text.
    """
    table = context.lake.table("quarantine", context.definitions.source(source_name).name)
    if not table.exists():
        return pl.DataFrame(schema=quarantine_table.SCHEMA)
    rows = table.scan()
    if reason:
        rows = rows.filter(pl.col("reasons").list.join("\n").str.contains(reason, literal=True))
    return rows.sort([ARRIVED, BATCH, FILE, ROW], descending=[True, False, False, False]).head(limit).collect()


def replay_quarantine(context: Context, source_name: str) -> ReplayReport:
    """Read quarantined rows again from bronze and judge them by the contract as it is now.

    Those that pass go to silver, known at the time of the replay; they leave quarantine, as do
    copies of what is in silver already. A run that is killed is completed by the next one.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str
        The source.

    Raises
    ------
    NotAppliedError
        If the definition was changed in what silver means (not just in its contract): rebuild it.
    SourceError
        If a quarantined batch was stopped as a whole: `ingest` takes it up again.
    """
    source = context.definitions.source(source_name)
    with ingest_turn(context.lake, source.name):
        target = context.lake.table("silver", source.name)
        check_definition(source, target)
        ledger = Ledger.read(context.lake.table("bronze", source.name))
        outcomes = [_replay(context, source, ledger, batch) for batch in _quarantined(context, source, ledger, target)]
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        reasons.update(outcome.reasons)
    return ReplayReport(
        source.name,
        sum(outcome.replayed for outcome in outcomes),
        sum(outcome.duplicates for outcome in outcomes),
        sum(outcome.remaining for outcome in outcomes),
        dict(reasons.most_common()),
    )


def _counted(name: str, table: Table) -> list[QuarantinedReason]:
    if not table.exists():
        return []
    rows = table.scan().select("reasons", "columns", "found", ARRIVED).explode("reasons", "columns", "found").collect()
    counted = (
        rows.rename({"reasons": "reason", "columns": "column"})
        .group_by("reason", "column")
        .agg(pl.len().alias("rows"), pl.col("found").first().alias("example"), pl.col(ARRIVED).max().alias("last"))
        .sort(["rows", "reason", "column"], descending=[True, False, False])
    )
    return [
        QuarantinedReason(name, row["column"], row["reason"], row["rows"], row["example"], row["last"])
        for row in counted.to_dicts()
    ]


def _quarantined(context: Context, source: Source, ledger: Ledger, target: Table) -> list[Batch]:
    """The batches that have quarantined rows, in order; a batch that was stopped whole is not for here."""
    table = context.lake.table("quarantine", source.name)
    if not table.exists():
        return []
    ids = {file.partition[BATCH] for file in table.files()}
    batches = [batch for batch in ledger.complete() if batch.id in ids]
    stopped = [batch for batch in batches if not batch.is_in(target)]
    if stopped and len(stopped) == len(batches):
        raise SourceError(
            f"{source.where}: batch {stopped[0].id} was stopped as a whole, so none of its rows is in silver. "
            f"Mend the definition or the input, then run: headrace ingest {source.name}"
        )
    return [batch for batch in batches if batch not in stopped]


def _replay(context: Context, source: Source, ledger: Ledger, batch: Batch) -> ReplayReport:
    table = context.lake.table("quarantine", source.name)
    target = context.lake.table("silver", source.name)
    kept = quarantine_table.of_batch(table, batch.id)
    done = replays(target).get(batch.id)
    waiting = kept if done is None else kept.join(done, on=[FILE, ROW], how="anti")
    if isinstance(source, SnapshotSource) and ledger.in_force()[batch.pieces[0].day].id != batch.id:
        _leave(table, batch, kept.clear())  # a newer file of that day has taken its place
        return ReplayReport(source.name, 0, 0, 0, {})
    now_us = context.clock()
    rows, added, failures = _judged(context, source, batch, waiting, now_us)
    accepted, rejected = split(rows, failures)
    fresh = _published(target, source, batch, accepted, added, now_us)
    _leave(table, batch, quarantine_table.as_quarantined(source, rejected))
    reasons: Counter[str] = Counter(failures["reason"].to_list())
    return ReplayReport(source.name, fresh, accepted.height - fresh, rejected.height, dict(reasons))


def _judged(
    context: Context, source: Source, batch: Batch, waiting: pl.DataFrame, now_us: int
) -> tuple[pl.DataFrame, tuple[str, ...], pl.DataFrame]:
    """The waiting rows as they came, decoded and judged, known from now on."""
    bronze = bronze_rows(context.lake.table("bronze", source.name), batch)
    received = bronze.join(waiting.select(FILE, ROW), on=[FILE, ROW], how="semi", maintain_order="left")
    decoded = reader_of(source, batch).decode(received, whole=False)
    judged = with_times(with_origin(decoded, received), source, batch.day)
    failures = judge(source, judged, decoded.failures, decoded.added)
    return judged.with_columns(pl.lit(now_us).cast(UTC).alias(AVAILABLE)), decoded.added, failures


def _published(
    target: Table, source: Source, batch: Batch, accepted: pl.DataFrame, added: tuple[str, ...], now_us: int
) -> int:
    if not accepted.height:
        return 0
    masked = with_known(mask_frame(accepted, source), source)
    unique = without_copies(masked, silver.identity(source), source.dedupe_within_us)
    there = silver.copies_there(target, source, unique).with_columns(pl.lit(0).cast(UTC).alias(AVAILABLE))
    fresh = against(unique, there, silver.identity(source), source.dedupe_within_us).kept  # what is there stays
    if not fresh.height:
        return 0
    note = {
        "operation": "replay",
        "batch": batch.id,
        "available_us": str(now_us),
        "origins": json.dumps(fresh.select(FILE, ROW).rows()),
        **hashes(source),
    }
    number = target.version() + 1
    silver.write(
        target,
        as_silver(source, fresh, added),
        silver.nothing(),
        metadata=note,
        transaction=(f"replay:{batch.id}", number),
    )
    crash_point("after replay commit")
    return fresh.height


def _leave(table: Table, batch: Batch, remaining: pl.DataFrame) -> None:
    digest = f"replay:{table.version()}"
    quarantine_table.write(table, batch.id, remaining, {"operation": "replay"}, digest)
