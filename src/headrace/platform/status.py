"""How far each source has come."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from headrace.connectors.files import list_files
from headrace.definitions.sources import Source
from headrace.platform.ingest import unrefined
from headrace.platform.landing import ARRIVED
from headrace.platform.ledger import Ledger
from headrace.platform.quarantine import list_quarantine
from headrace.quality.base import KNOWN

if TYPE_CHECKING:
    from headrace.lake.base import DataFile, Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How far a source has come.

    Attributes
    ----------
    source : str
        Its name.
    rows, files, size_bytes : int
        Of silver.
    last_arrived : datetime, optional
        When the newest row of silver came.
    known_through : datetime, optional
        When the newest row of silver counts from.
    quarantined : dict of str to int
        Rows in quarantine by reason.
    new_files : int
        Files that are new or were changed since they were ingested.
    stopped_batches : int
        Batches in bronze that are not in silver: stopped by their contract, or a run was interrupted.
    """

    source: str
    rows: int
    files: int
    size_bytes: int
    last_arrived: datetime | None
    known_through: datetime | None
    quarantined: dict[str, int]
    new_files: int
    stopped_batches: int


def source_status(context: Context) -> list[SourceStatus]:
    """How far each source has come, from the metadata of its tables alone."""
    return [_status(context, source) for source in context.definitions.sources.values()]


def _status(context: Context, source: Source) -> SourceStatus:
    silver = context.lake.table("silver", source.name)
    ledger = Ledger.read(context.lake.table("bronze", source.name))
    files = silver.files() if silver.exists() else []
    quarantined: Counter[str] = Counter()
    for found in list_quarantine(context, source.name):
        quarantined[found.reason] += found.rows
    return SourceStatus(
        source.name,
        sum(file.rows for file in files),
        len(files),
        sum(file.size_bytes for file in files),
        _newest(files, ARRIVED),
        _newest(files, KNOWN),
        dict(quarantined),
        _new_files(context, source, ledger),
        _waiting(ledger, silver),
    )


def _newest(files: list[DataFile], column: str) -> datetime | None:
    return max((file.maximum[column] for file in files if column in file.maximum), default=None)


def _new_files(context: Context, source: Source, ledger: Ledger) -> int:
    """Told by name, size and time of change: contents are not read for a status."""
    if source.batch is None:
        return 0
    known = {name: (piece.size_bytes, piece.modified_ns) for name, (piece, _) in ledger.newest_by_name().items()}
    listed = list_files(context.root, source.batch)
    return sum(known.get(file.name) != (file.size_bytes, file.modified_ns) for file in listed)


def _waiting(ledger: Ledger, silver: Table) -> int:
    return len(unrefined(ledger, silver))
