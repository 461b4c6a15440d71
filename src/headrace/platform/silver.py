"""Silver: typed, unique, masked rows, partitioned by the UTC day on which they count first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.definitions.sources import ChangeSource, Source
from headrace.engines.polars_types import polars_schema
from headrace.lake.reading import collect
from headrace.platform.crash_points import crash_point
from headrace.platform.landing import ARRIVED, BATCH, DAY, FILE, ROW
from headrace.quality.base import AVAILABLE, KNOWN, OP, POSITION, SNAPSHOT, UTC
from headrace.quality.contract import primary_key
from headrace.quality.dedupe import against
from headrace.quality.times import days_around

if TYPE_CHECKING:
    from headrace.lake.base import DataFile, StagedFile, Table

ORIGIN: Final = (BATCH, FILE, ROW)
"""The columns that tell every row of silver apart."""

_SYSTEM: Final = {
    ARRIVED: UTC, AVAILABLE: UTC, OP: pl.String(), POSITION: pl.String(), SNAPSHOT: UTC, KNOWN: UTC,
    FILE: pl.String(), ROW: pl.Int64(), BATCH: pl.String(), DAY: pl.Date(),
}  # fmt: skip


def silver_schema(source: Source, added: Mapping[str, pl.DataType] | None = None) -> pl.Schema:
    """The columns of silver: those declared, ours, then those added upstream.

    A column that is masked by a keyed hash is text, whatever it was.
    """
    declared = dict(polars_schema(source.schema))
    hashed = {name: pl.String() for name, mask in source.personal.items() if mask.method == "hmac"}
    return pl.Schema(declared | hashed | _SYSTEM | dict(added or {}))


def identity(source: Source) -> tuple[str, ...]:
    """What tells a row from another: a change by its place in the log, an event by ``dedupe_on``."""
    if isinstance(source, ChangeSource):
        return (POSITION, OP, *primary_key(source))
    return source.identity or primary_key(source)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Rows of silver that a commit takes out.

    Attributes
    ----------
    rows : polars.DataFrame
        Their `ORIGIN`, `KNOWN` and `DAY`.
    """

    rows: pl.DataFrame

    @property
    def days(self) -> list[str]:
        """The partitions that change."""
        return [str(day) for day in self.rows[DAY].unique().sort().to_list()]


def nothing() -> Replacement:
    """No row is taken out."""
    return Replacement(pl.DataFrame(schema={name: _SYSTEM[name] for name in (*ORIGIN, KNOWN, DAY)}))


def unseen(silver: Table, source: Source, frame: pl.DataFrame) -> tuple[pl.DataFrame, Replacement]:
    """Leave out rows that are in silver already; take out those of silver that a better copy replaces."""
    there = copies_there(silver, source, frame)
    if not there.height:
        return frame, nothing()
    result = against(frame, there, identity(source), source.dedupe_within_us)
    return result.kept, Replacement(result.beaten.select(*ORIGIN, KNOWN, DAY))


def copies_there(silver: Table, source: Source, frame: pl.DataFrame) -> pl.DataFrame:
    """The rows of silver that have an identity of the frame's: their identity, times and origin.

    Only the identities of the days within ``dedupe_within`` are read, and of those only the files whose
    identities overlap the frame's.
    """
    columns = identity(source)
    kept = [*columns, KNOWN, AVAILABLE, *ORIGIN, DAY]
    nowhere = pl.DataFrame(schema={name: dtype for name, dtype in silver_schema(source).items() if name in kept})
    if not columns or not frame.height or not silver.exists():
        return nowhere
    files = _overlapping(silver.files(), frame, columns, source.dedupe_within_us)
    if not files:
        return nowhere
    wanted = frame.lazy().select(columns).unique()
    there = silver.scan_files(files).select(kept).join(wanted, on=list(columns), how="semi")
    return collect(there, silver, engine="streaming")


def snapshot_rows(silver: Table, taken: datetime) -> Replacement:
    """The rows of the snapshot that was taken at an instant."""
    if not silver.exists():
        return nothing()
    files = [file for file in silver.files() if file.may_hold(SNAPSHOT, taken, taken)]
    rows = silver.scan_files(files).filter(pl.col(SNAPSHOT) == taken).select(*ORIGIN, KNOWN, DAY)
    return Replacement(collect(rows, silver))


def write(
    silver: Table,
    frame: pl.DataFrame,
    replaced: Replacement,
    *,
    metadata: Mapping[str, str],
    transaction: tuple[str, int],
) -> int | None:
    """Commit rows to silver, and take others out, all at once.

    Parameters
    ----------
    silver : Table
        The table.
    frame : polars.DataFrame
        The rows, in the columns of `silver_schema`.
    replaced : Replacement
        What is taken out; its partitions are written again.
    metadata : mapping of str to str
        Added to the counts and times of the commit.
    transaction : (str, int)
        The commit happens once.

    Returns
    -------
    int or None
        The version; None if it had happened already.
    """
    version = silver.version() if replaced.rows.height else None
    staged = _staged(silver, frame, replaced)
    crash_point("before silver commit")
    made = silver.commit(
        staged,
        schema=frame.schema,
        mode="replace" if replaced.rows.height else "append",
        partition_by=[DAY],
        replace_partitions=[{DAY: day} for day in replaced.days],
        metadata=_times(frame, replaced) | dict(metadata),
        transaction=transaction,
        expected_version=version,
    )
    crash_point("after silver commit")
    if made is None:
        silver.discard(staged)
    return made


def _staged(silver: Table, frame: pl.DataFrame, replaced: Replacement) -> list[StagedFile]:
    fresh = {str(day): part for (day,), part in frame.partition_by(DAY, as_dict=True, maintain_order=True).items()}
    changed = replaced.days
    staying = {day: _staying(silver, day, replaced) for day in changed}
    staged = []
    for day in sorted({*fresh, *changed}):
        parts = [part for part in (staying.get(day), fresh.get(day)) if part is not None and part.height]
        if parts:
            staged.append(silver.stage(pl.concat(parts, how="diagonal"), {DAY: day}))
            crash_point("after silver file")
    return staged


def _staying(silver: Table, day: str, replaced: Replacement) -> pl.DataFrame:
    files = [file for file in silver.files() if file.partition[DAY] == day]
    gone = replaced.rows.lazy().select(ORIGIN)
    staying = silver.scan_files(files).join(gone, on=list(ORIGIN), how="anti", maintain_order="left")
    return collect(staying, silver)


def _overlapping(
    files: list[DataFile], frame: pl.DataFrame, columns: tuple[str, ...], within_us: int
) -> list[DataFile]:
    first, last = (str(day) for day in days_around(frame, within_us))
    bounds = frame.select(pl.col(columns).min().name.prefix("low_"), pl.col(columns).max().name.prefix("high_"))
    row: dict[str, Any] = bounds.row(0, named=True)
    return [
        file
        for file in files
        if first <= file.partition[DAY] <= last
        and all(file.may_hold(name, row[f"low_{name}"], row[f"high_{name}"]) for name in columns)
    ]


def _times(frame: pl.DataFrame, replaced: Replacement) -> dict[str, str]:
    known = pl.concat([frame[KNOWN], replaced.rows[KNOWN]]).to_physical()
    if not len(known):
        return {"rows": "0"}
    return {"rows": str(frame.height), "min_known_us": str(known.min()), "max_known_us": str(known.max())}
