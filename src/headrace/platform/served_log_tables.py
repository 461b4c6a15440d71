"""The tables of what was served: one a service, partitioned by the UTC day of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC as UTC_ZONE
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.errors import ConflictError
from headrace.platform.served_log_frames import DAY
from headrace.types import DAY as DAY_US
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.lake.base import Lake, Table

FOLDER: Final = "served"
_BEING_WRITTEN_US: Final = 3_600 * SECOND
"""A file that no commit names is garbage after this time."""


def tables_of(lake: Lake, service: str) -> Iterator[Table]:
    """The tables of a service: a further one for each time that a column changed its type."""
    for number in count(1):
        table = lake.table(FOLDER, service, str(number))
        if not table.exists():
            return
        yield table


def logged_services(lake: Lake) -> list[str]:
    """The services of which something is logged; ``request`` for features that were asked for one by one."""
    folder = lake.folder(FOLDER)
    return sorted(each.name for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def append(lake: Lake, service: str, frame: pl.DataFrame) -> None:
    """Add rows to a service's log, durably; other processes may do so at the same time.

    Raises
    ------
    LakeError
        If it can't be written.
    """
    table = _fitting(lake, service, frame.schema)
    staged = [
        table.stage(part, {DAY: day})
        for (day,), part in frame.partition_by(DAY, as_dict=True, maintain_order=True).items()
    ]
    schema = pl.Schema({**(table.schema() if table.exists() else {}), **frame.schema})
    metadata = {"operation": "served", "rows": str(frame.height)}
    table.commit(staged, schema=schema, mode="append", partition_by=[DAY], metadata=metadata)


def prune(lake: Lake, service: str, before_us: int) -> int:
    """Remove the days before an instant, and their files; gives how many files that were.

    Parameters
    ----------
    before_us : int
        In microseconds UTC. The day in which it lies stays.

    Raises
    ------
    LakeError
        If a table can't be written.
    """
    first = datetime.fromtimestamp(before_us // SECOND, tz=UTC_ZONE).strftime("%Y-%m-%d")
    deleted = 0
    for table in tables_of(lake, service):
        old = [file for file in table.files() if file.partition[DAY] < first]
        if old:
            days = sorted({file.partition[DAY] for file in old})
            metadata = {"operation": "prune", "before": first}
            table.commit(
                [], schema=table.schema(), mode="replace", partition_by=[DAY], metadata=metadata,
                replace_partitions=[{DAY: day} for day in days],
            )  # fmt: skip
        newest = table.commit_at(table.version()).timestamp_us
        deleted += table.vacuum([], newer_than_us=newest - _BEING_WRITTEN_US).files
    return deleted


def prune_all(lake: Lake, keep_days: int, now_us: int) -> int:
    """Keep so many whole days of each service's log, besides today; gives how many files were removed.

    Where another process does so, nothing is done.

    Raises
    ------
    LakeError
        If a table can't be written.
    """
    try:
        with lake.lock("prune-served"):
            return sum(prune(lake, service, now_us - keep_days * DAY_US) for service in logged_services(lake))
    except ConflictError:
        return 0


def _fitting(lake: Lake, service: str, schema: pl.Schema) -> Table:
    """The newest table, if its columns have these types; else the next one, which comes into being."""
    tables = list(tables_of(lake, service))
    for table in tables:
        known = table.schema()
        if all(known.get(name, dtype) == dtype for name, dtype in schema.items()):
            return table
    return lake.table(FOLDER, service, str(len(tables) + 1))
