"""Laying out a table anew: few large files, each partition sorted by entity and time.

Sorted files beat a Z-order of raw values: with ids up to a thousand and times up to a million, a
Z-ordered file spans all ids, and a reader of one entity opens every file.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from headrace.lake.base import DataFile, StagedFile, Table

if TYPE_CHECKING:
    import polars as pl

MEGABYTE: Final = 1_000_000
SMALL_BYTES: Final = 128 * MEGABYTE
TARGET_BYTES: Final = 512 * MEGABYTE
MANY_FILES: Final = 50


@dataclass(frozen=True, slots=True)
class OptimizeReport:
    """What `optimize` did.

    Attributes
    ----------
    partitions : int
        How many were rewritten.
    files_before, files_after : int
        Their files.
    bytes_before, bytes_after : int
        Their sizes.
    """

    partitions: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def plus(self, before: Sequence[DataFile], after: Sequence[StagedFile]) -> OptimizeReport:
        """The report with one more partition."""
        return OptimizeReport(
            self.partitions + 1,
            self.files_before + len(before),
            self.files_after + len(after),
            self.bytes_before + sum(file.size_bytes for file in before),
            self.bytes_after + sum(file.size_bytes for file in after),
        )


def optimize(
    table: Table,
    keys: Sequence[str],
    time: str | None,
    target_bytes: int = TARGET_BYTES,
    progress: Callable[[int, int], None] | None = None,
    metadata: Mapping[str, str] | None = None,
    fence: Callable[[], None] | None = None,
) -> OptimizeReport:
    """Rewrite partitions of many small files into few, sorted by `keys` and `time`.

    Rows do not change, and older versions stay readable. A partition of one file, or of files that
    are all large already, is left alone. Each partition is a commit of its own, so a kill loses no
    more than the partition at hand.

    Parameters
    ----------
    table : Table
        The table.
    keys : sequence of str
        The columns to sort by first: an entity's keys, or a row's identity.
    time : str, optional
        The column to sort by within equal keys.
    target_bytes : int
        How large a file should be (128 MB to 1 GB suit most readers).
    progress : callable, optional
        Called with the partitions done and their number.
    metadata : mapping of str to str, optional
        What each commit says.
    fence : callable, optional
        Called before each commit, to raise if one may not write any more. With it, nobody else may commit
        meanwhile.

    Returns
    -------
    OptimizeReport

    Raises
    ------
    ConflictError
        If another writer replaced a partition meanwhile, or with `fence` committed anything.
    """
    report = OptimizeReport()
    todo = [files for files in _partitions(table) if needs_rewriting(files, target_bytes)]
    order = [*keys, *([time] if time else [])]
    expected = None if fence is None or not todo else table.version()
    for done, files in enumerate(todo):
        staged = _rewritten(table, files, order, target_bytes)
        if fence is not None:
            fence()
        made = table.rewrite(files, staged, metadata or {"operation": "optimize"}, expected_version=expected)
        expected = None if expected is None else made
        report = report.plus(files, staged)
        if progress:
            progress(done + 1, len(todo))
    return report


def compact(
    table: Table,
    keys: Sequence[str],
    time: str | None,
    *,
    least_files: int = MANY_FILES,
    target_bytes: int = SMALL_BYTES,
    fence: Callable[[], None] = lambda: None,
) -> OptimizeReport:
    """Put together the small files of partitions that have many, and leave their large ones alone.

    What a stream needs while it writes: a row is written again seldom, and little is in memory at a time. Rows do not
    change, and older versions stay readable. Each new file is a commit of its own.

    Parameters
    ----------
    table : Table
        The table.
    keys, time
        The order within a file, as for `optimize`.
    least_files : int
        How many small files a partition must have.
    target_bytes : int
        How large a file should be; one of half that size is not small.
    fence : callable
        Called before each commit.

    Returns
    -------
    OptimizeReport

    Raises
    ------
    ConflictError
        If another writer replaced a file meanwhile.
    """
    report = OptimizeReport()
    order = [*keys, *([time] if time else [])]
    for files in _partitions(table):
        small = [file for file in files if file.size_bytes < target_bytes // 2]
        for group in _groups(small, target_bytes) if len(small) >= least_files else ():
            staged = _rewritten(table, group, order, target_bytes)
            fence()
            table.rewrite(group, staged, {"operation": "compact"})
            report = report.plus(group, staged)
    return report


def _groups(files: Sequence[DataFile], most_bytes: int) -> list[list[DataFile]]:
    """Files in groups of several whose sizes together are bounded, the smallest first."""
    groups: list[list[DataFile]] = []
    size_bytes = most_bytes
    for file in sorted(files, key=lambda file: (file.size_bytes, file.path)):
        if size_bytes + file.size_bytes > most_bytes:
            groups.append([])
            size_bytes = 0
        groups[-1].append(file)
        size_bytes += file.size_bytes
    return [group for group in groups if len(group) > 1]


def needs_rewriting(files: Sequence[DataFile], target_bytes: int = TARGET_BYTES) -> bool:
    """Whether fewer files would do: more than one is small."""
    small_bytes = min(SMALL_BYTES, target_bytes // 2)
    return sum(file.size_bytes < small_bytes for file in files) > 1


def _partitions(table: Table) -> list[list[DataFile]]:
    found: dict[tuple[tuple[str, str], ...], list[DataFile]] = defaultdict(list)
    for file in table.files():
        found[tuple(sorted(file.partition.items()))].append(file)
    return [found[partition] for partition in sorted(found)]


def _rewritten(table: Table, files: Sequence[DataFile], order: list[str], target_bytes: int) -> list[StagedFile]:
    parts = math.ceil(sum(file.size_bytes for file in files) / target_bytes)
    rows = table.scan_files(files)
    ranges = [rows] if parts == 1 or not order else _ranges(rows, order[0], parts)
    staged = []
    for part in ranges:
        frame = part.collect().sort(order, maintain_order=True) if order else part.collect()
        if frame.height:
            staged.append(table.stage(frame, files[0].partition))
    return staged


def _ranges(rows: pl.LazyFrame, key: str, parts: int) -> list[pl.LazyFrame]:
    """Split rows by ranges of `key`, so that only one of them is in memory at a time."""
    import polars as pl

    keys = rows.select(key).collect().to_series().sort()
    cuts = keys.gather([len(keys) * part // parts for part in range(1, parts)]).unique().drop_nulls().to_list()
    column = pl.col(key)
    bounds = [None, *cuts, None]
    return [
        rows.filter(
            (column.is_null() if low is None else pl.lit(value=False))
            | ((column >= low if low is not None else pl.lit(value=True))
               & (column < high if high is not None else pl.lit(value=True)))
        )
        for low, high in pairwise(bounds)
    ]  # fmt: skip
