"""What every lake offers: tables of Parquet files whose sets change by atomic commits.

Files are first staged (written where nobody reads them), then referenced by one commit. A commit
carries our metadata and, where a writer may repeat itself, a transaction: an application's name and
a number that only grows. A commit whose number is not above the last one is skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

Mode = Literal["append", "replace"]
Transaction = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file that is written, durable and referenced by nothing.

    Attributes
    ----------
    path : str
        Relative to the table's location.
    partition : mapping of str to str
        The values of the partition columns, as text.
    size_bytes, rows : int
        Its length and the number of its rows.
    stats : str
        Minima, maxima and null counts, as the table format wants them.
    columns : mapping of str to polars.DataType
        The columns of the frame it was made from.
    """

    path: str
    partition: Mapping[str, str]
    size_bytes: int
    rows: int
    stats: str
    columns: Mapping[str, pl.DataType] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, which JSON can hold."""
        from headrace.lake.columns import delta_fields

        plain = {name: getattr(self, name) for name in ("path", "size_bytes", "rows", "stats")}
        return {**plain, "partition": dict(self.partition), "columns": delta_fields(self.columns)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> StagedFile:
        """The inverse of `to_json`."""
        from headrace.lake.columns import polars_schema

        return cls(**{**plain, "columns": dict(polars_schema(plain["columns"]))})


@dataclass(frozen=True, slots=True)
class DataFile:
    """A Parquet file that a version of a table refers to.

    Attributes
    ----------
    path : str
        Relative to the table's location.
    size_bytes, rows : int
        Its length and the number of its rows.
    partition : mapping of str to str
        The values of the partition columns, as text.
    minimum, maximum : mapping of str to value
        The least and greatest value by column; a column that is missing may hold anything.
    nulls : mapping of str to int
        The number of nulls by column, where it is known.
    """

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str]
    minimum: Mapping[str, Any] = field(repr=False)
    maximum: Mapping[str, Any] = field(repr=False)
    nulls: Mapping[str, int] = field(default_factory=dict, repr=False)

    def may_hold(self, column: str, low: Any, high: Any) -> bool:
        """Whether a value of `column` within [low, high] can be in the file."""
        if column not in self.minimum or column not in self.maximum:
            return True
        return bool(self.minimum[column] <= high and low <= self.maximum[column])


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of a table.

    Attributes
    ----------
    version : int
        The table's version that it made.
    timestamp_us : int
        When, in microseconds since 1970 UTC, by the writer's clock.
    metadata : mapping of str to str
        What the writer said about it; empty for commits that are not ours.
    """

    version: int
    timestamp_us: int
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VacuumReport:
    """What was deleted, or would be.

    Attributes
    ----------
    deleted : tuple of str
        The files, relative to the table's location.
    size_bytes : int
        Their lengths together.
    kept_files : int
        Files that the versions to keep refer to.
    spared_files : int
        Files that those do not refer to, and that were too young or named to be spared.
    """

    deleted: tuple[str, ...] = field(default=(), repr=False)
    size_bytes: int = 0
    kept_files: int = 0
    spared_files: int = 0

    @property
    def files(self) -> int:
        """How many were deleted."""
        return len(self.deleted)


class Table(Protocol):
    """One table of the lake. It comes into being with its first commit."""

    @property
    def location(self) -> str:
        """The table's folder."""

    def exists(self) -> bool:
        """Whether there was a first commit."""

    def version(self) -> int:
        """The number of the newest version."""

    def schema(self) -> pl.Schema:
        """The columns and their types, as they were given to `commit`."""

    def scan(self, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version (the newest by default); filters skip partitions and files."""

    def files(self, version: int | None = None) -> list[DataFile]:
        """The files of a version, with what is known of their values."""

    def scan_files(self, files: Sequence[DataFile]) -> pl.LazyFrame:
        """The rows of some files of any version, with the columns of the newest one."""

    def scan_staged(
        self, staged: Sequence[StagedFile], schema: Mapping[str, pl.DataType] | None = None
    ) -> pl.LazyFrame:
        """The rows of exactly these staged files, which may be before the table exists.

        Parameters
        ----------
        staged : sequence of StagedFile
            The files.
        schema : mapping of str to polars.DataType, optional
            The columns to read; those of the files by default, and the table's where there is no file.

        Raises
        ------
        LakeError
            If a file is gone or has another length, or two files have a column with different types.
        """

    def stage(self, frame: pl.DataFrame, partition: Mapping[str, str]) -> StagedFile:
        """Write a frame durably where no reader sees it. It holds its partition columns too."""

    def discard(self, staged: Sequence[StagedFile]) -> None:
        """Delete staged files that will not be committed."""

    def commit(  # noqa: PLR0913 - all but two are named, and each is part of one atomic change
        self,
        staged: Sequence[StagedFile],
        *,
        schema: pl.Schema,
        mode: Mode,
        partition_by: Sequence[str],
        metadata: Mapping[str, str],
        replace_partitions: Sequence[Mapping[str, str]] | None = None,
        removed: Sequence[DataFile] = (),
        transaction: Transaction | None = None,
        also: Sequence[Transaction] = (),
        expected_version: int | None = None,
    ) -> int | None:
        """Refer to staged files, all at once.

        Parameters
        ----------
        staged : sequence of StagedFile
            What is added; may be empty.
        schema : polars.Schema
            The table's columns. New ones are added to the table; none is dropped or retyped, unless
            the whole table is replaced.
        mode : {"append", "replace"}
            ``replace`` removes every file of `replace_partitions` in the same commit; every file of
            the table, and its columns, where that is None.
        partition_by : sequence of str
            The partition columns, the same in each commit.
        metadata : mapping of str to str
            Kept with the commit; `commits` gives it back.
        replace_partitions : sequence of mapping, optional
            The partitions that ``replace`` empties first.
        removed : sequence of DataFile
            Files that the same commit removes besides.
        transaction : (str, int), optional
            Skip the commit if this application committed this number or a later one.
        also : sequence of (str, int)
            Further transactions that are recorded with this commit.
        expected_version : int, optional
            Commit only on top of exactly this version (-1: no table yet).

        Returns
        -------
        int or None
            The version made; None if the transaction had been committed already.

        Raises
        ------
        ConflictError
            If the table is not at `expected_version`, one of `removed` is no longer in it, or others committed
            first each time it tried.
        LakeError
            If the table can't be written, or a column changed its type.
        """

    def restore(
        self,
        version: int,
        *,
        metadata: Mapping[str, str],
        expected_version: int | None = None,
        transaction: Transaction | None = None,
    ) -> int | None:
        """Commit the content of an older version again, on top of the newest.

        Columns that were added since stay, and are null. Hold the lock or lease under which `vacuum` runs: it
        deletes what no version to keep refers to.

        Parameters
        ----------
        version : int
            The version; the newest one gives a commit that changes nothing.
        metadata, expected_version, transaction
            As for `commit`.

        Returns
        -------
        int or None
            The version made; None if the transaction had been committed already.

        Raises
        ------
        VersionGoneError
            If vacuum removed a file of it.
        ConflictError
            If the table is not at `expected_version`, or others committed first each time it tried.
        LakeError
            If there is no such version, a file of it is damaged, or a column of it was dropped or retyped since.
        """

    def missing_files(self, version: int) -> list[str]:
        """The files of a version that are no longer there: vacuum removed them."""

    def vacuum(
        self, keep: Sequence[int], *, newer_than_us: int | None, spare: Collection[str] = (), dry_run: bool = False
    ) -> VacuumReport:
        """Delete the data files that the newest version and those to keep do not refer to.

        A file that is staged and not committed looks like garbage: give the time at which the oldest writer
        at work began, or the names of its files. A run that was killed is finished by the next one.

        Parameters
        ----------
        keep : sequence of int
            The versions that stay readable, besides the newest.
        newer_than_us : int or None
            Spare files written at that time or later, in microseconds since 1970 UTC by the disk's clock.
        spare : collection of str
            Paths of files to spare, relative to the table's location.
        dry_run : bool
            Delete nothing, and say what would be.

        Raises
        ------
        LakeError
            If a version to keep does not exist, or a file can't be deleted.
        """

    def orphans(self) -> list[str]:
        """The data files that no version ever referred to: staged, or left by a writer that was killed.

        Raises
        ------
        LakeError
            If a part of the table's log is missing.
        """

    def vacuum_orphans(
        self, *, newer_than_us: int | None, spare: Collection[str] = (), dry_run: bool = False
    ) -> VacuumReport:
        """Delete the files of `orphans`; every version stays readable. See `vacuum` for the parameters.

        Where there is no table yet, nothing is deleted.
        """

    def adopt(self, other: Table) -> list[StagedFile]:
        """Stage every file of another table of the same lake, without copying where that is possible."""

    def delete(self) -> None:
        """Remove the table with all of its versions; nothing happens where there is none."""

    def rewrite(
        self,
        removed: Sequence[DataFile],
        staged: Sequence[StagedFile],
        metadata: Mapping[str, str],
        *,
        expected_version: int | None = None,
    ) -> int:
        """Put other files with the same rows in the place of some files.

        Raises
        ------
        ConflictError
            If one of `removed` is no longer in the table, or it is not at `expected_version`.
        """

    def transaction_version(self, app_id: str) -> int | None:
        """The last number that an application committed."""

    def commits(self, since: int = -1) -> Iterator[Commit]:
        """The commits after version `since`, oldest first."""

    def commit_at(self, version: int) -> Commit:
        """One commit, without reading the others.

        Raises
        ------
        LakeError
            If there is no such version.
        """


class Lake(Protocol):
    """All tables, and folders for other files."""

    @property
    def location(self) -> str:
        """The lake's folder."""

    def table(self, *path: str) -> Table:
        """The table at a path such as ``("silver", "gps")``, whether it exists or not."""

    def folder(self, *path: str) -> Path:
        """A folder for files that are no table; not made here."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Hold `name` alone on this machine; a dead holder's lock is free.

        Raises
        ------
        ConflictError
            At once, if another process holds it.
        """
