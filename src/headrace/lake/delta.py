"""Delta tables on a local disk, by delta-rs. No JVM; Spark, DuckDB and Trino read them too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.errors import ConflictError, LakeError
from headrace.lake.base import Commit, DataFile, Mode, StagedFile, Table, Transaction
from headrace.lake.failures import lake_failures

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable as Handle

ATTEMPTS: Final = 12
_FIRST_PAUSE_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class DeltaLake:
    """Tables and folders below one folder of this machine.

    Parameters
    ----------
    location : str or Path
        The folder; made with the first commit.
    """

    location: str

    def __init__(self, location: str | Path) -> None:
        if "://" in str(location):
            raise LakeError(f"lake '{location}': only folders of this machine are supported, such as ./lake.")
        object.__setattr__(self, "location", str(Path(location).absolute()))

    def table(self, *path: str) -> DeltaTable:
        """The table at a path such as ``("silver", "gps")``, whether it exists or not."""
        return DeltaTable(str(self.folder(*path)))

    def folder(self, *path: str) -> Path:
        """A folder for files that are no table; not made here."""
        return Path(self.location, *path)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """See `Lake.lock`."""
        from headrace.lake.locks import exclusive

        return exclusive(self.folder(".locks", f"{name}.lock"), name)


@dataclass(frozen=True, slots=True)
class DeltaTable:
    """One Delta table; see `headrace.lake.base.Table` for what each method means.

    Each commit is tried at exactly one version, so whatever it decided from what it read still holds
    when it lands; if somebody was faster, it reads and decides again.

    Parameters
    ----------
    location : str
        The table's folder.
    """

    location: str

    def exists(self) -> bool:
        """Whether there was a first commit."""
        return self._open() is not None

    def version(self) -> int:
        """The number of the newest version."""
        return self._handle().version()

    def schema(self) -> pl.Schema:
        """The columns and their types, as they were given to `commit`."""
        return _schema(self._handle())

    def scan(self, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version; filters skip partitions and files by their statistics."""
        import polars as pl

        from headrace.lake.columns import logical
        from headrace.lake.reading import check_files

        handle = self._handle(version)
        check_files(Path(self.location), _lengths(handle))
        with lake_failures("read", self.location):
            return logical(pl.scan_delta(handle), _schema(handle))

    def files(self, version: int | None = None) -> list[DataFile]:
        """The files of a version, with what is known of their values."""
        return _files(self._handle(version))

    def scan_files(self, files: Sequence[DataFile]) -> pl.LazyFrame:
        """The rows of some files of the newest version."""
        import polars as pl

        from headrace.lake.columns import logical, stored_type
        from headrace.lake.reading import check_files

        check_files(Path(self.location), ((file.path, file.size_bytes) for file in files))
        schema = self.schema()
        kept = pl.Schema({name: stored_type(dtype) for name, dtype in schema.items()})
        if not files:
            return pl.LazyFrame(schema=schema)
        paths = [str(Path(self.location, file.path)) for file in files]
        return logical(pl.scan_parquet(paths, schema=kept, missing_columns="insert", hive_partitioning=False), schema)

    def stage(self, frame: pl.DataFrame, partition: Mapping[str, str]) -> StagedFile:
        """Write a frame durably where no reader sees it."""
        from headrace.lake.staging import stage_file

        return stage_file(Path(self.location), frame, partition)

    def discard(self, staged: Sequence[StagedFile]) -> None:
        """Delete staged files that will not be committed."""
        for file in staged:
            Path(self.location, file.path).unlink(missing_ok=True)

    def commit(  # noqa: PLR0913 - see Table.commit
        self,
        staged: Sequence[StagedFile],
        *,
        schema: pl.Schema,
        mode: Mode,
        partition_by: Sequence[str],
        metadata: Mapping[str, str],
        replace_partitions: Sequence[Mapping[str, str]] | None = None,
        transaction: Transaction | None = None,
        also: Sequence[Transaction] = (),
        expected_version: int | None = None,
    ) -> int | None:
        """Refer to staged files, all at once; see `Table.commit`."""
        from headrace.lake.log import Change

        transactions = [*([transaction] if transaction else []), *also]
        change = Change(staged, schema, tuple(partition_by), metadata, transactions)
        for attempt in _attempts(self.location):
            with attempt:
                handle = self._open()
                if handle is not None and transaction is not None and _is_done(handle, transaction):
                    return None
                self._expect(handle, expected_version)
                if handle is None:
                    return change.create(self.location)
                if mode == "replace" and replace_partitions is None:
                    return change.overwrite(handle)
                removed = _in_partitions(_files(handle), replace_partitions or []) if mode == "replace" else []
                return change.write(handle, removed)
        raise AssertionError  # _attempts raises after the last one

    def adopt(self, other: Table) -> list[StagedFile]:
        """Stage every file of another table, as hard links where the disk has them."""
        from headrace.lake.staging import adopt_file

        schema = dict(other.schema())
        return [adopt_file(Path(self.location), Path(other.location), file, schema) for file in other.files()]

    def delete(self) -> None:
        """Remove the table with all of its versions."""
        from headrace.lake.durable import remove_folder

        with lake_failures("delete", self.location):
            remove_folder(Path(self.location))

    def rewrite(self, removed: Sequence[DataFile], staged: Sequence[StagedFile], metadata: Mapping[str, str]) -> int:
        """Put other files with the same rows in the place of some files; see `Table.rewrite`."""
        from headrace.lake.log import Change

        wanted = {file.path for file in removed}
        for attempt in _attempts(self.location):
            with attempt:
                handle = self._handle()
                if gone := wanted - {file.path for file in _files(handle)}:
                    raise ConflictError(f"{self.location}: {min(gone)} was replaced meanwhile. Run it again.")
                partition_by = tuple(handle.metadata().partition_columns)
                change = Change(staged, _schema(handle), partition_by, metadata, [], data_change=False)
                return change.write(handle, removed)
        raise AssertionError  # _attempts raises after the last one

    def transaction_version(self, app_id: str) -> int | None:
        """The last number that an application committed."""
        handle = self._open()
        return None if handle is None else handle.transaction_version(app_id)

    def commits(self, since: int = -1) -> Iterator[Commit]:
        """The commits after version `since`, oldest first."""
        from headrace.lake.log import read_commit

        handle = self._open()
        if handle is None:
            return
        with lake_failures("read", self.location):
            for version in range(since + 1, handle.version() + 1):
                yield read_commit(Path(self.location), version)

    def _open(self, version: int | None = None) -> Handle | None:
        from deltalake import DeltaTable as Handle
        from deltalake.exceptions import TableNotFoundError

        if not Path(self.location, "_delta_log").is_dir():
            return None
        with lake_failures("read", self.location):
            try:
                return Handle(self.location, version=version)
            except TableNotFoundError:
                return None

    def _handle(self, version: int | None = None) -> Handle:
        handle = self._open(version)
        if handle is None:
            raise LakeError(
                f"there is no table at {self.location}. Run `headrace ingest` or `headrace backfill` first."
            )
        return handle

    def _expect(self, handle: Handle | None, version: int | None) -> None:
        found = -1 if handle is None else handle.version()
        if version is not None and found != version:
            raise ConflictError(
                f"{self.location}: it is at version {found}, and {version} was expected: another writer was first. "
                "Run it again."
            )


def _schema(handle: Handle) -> pl.Schema:
    import json

    from headrace.lake.columns import polars_schema

    return polars_schema(json.loads(handle.schema().to_json())["fields"])


def _lengths(handle: Handle) -> Iterator[tuple[str, int]]:
    import polars as pl

    return pl.DataFrame(handle.get_add_actions()).select("path", "size_bytes").iter_rows()


def _files(handle: Handle) -> list[DataFile]:
    import polars as pl

    rows = pl.DataFrame(handle.get_add_actions()).to_dicts()
    return [
        DataFile(
            row["path"],
            row["size_bytes"],
            row["num_records"],
            {name: str(value) for name, value in (row.get("partition") or {}).items()},
            {name: value for name, value in (row.get("min") or {}).items() if value is not None},
            {name: value for name, value in (row.get("max") or {}).items() if value is not None},
        )
        for row in rows
    ]


def _in_partitions(files: list[DataFile], partitions: Sequence[Mapping[str, str]]) -> list[DataFile]:
    wanted = {tuple(sorted(partition.items())) for partition in partitions}
    return [file for file in files if tuple(sorted(file.partition.items())) in wanted]


def _is_done(handle: Handle, transaction: Transaction) -> bool:
    last = handle.transaction_version(transaction[0])
    return last is not None and last >= transaction[1]


def _attempts(location: str) -> Iterator[AbstractContextManager[None]]:
    """Contexts in which to try a commit; one that lost the race leads to the next."""
    for number in range(ATTEMPTS):
        yield _attempt(location)
        time.sleep(_FIRST_PAUSE_SECONDS * 2**number)
    raise ConflictError(f"{location}: other writers committed first {ATTEMPTS} times in a row. Run it again.")


@contextmanager
def _attempt(location: str) -> Iterator[None]:
    from headrace.lake.log import LostRaceError

    try:
        with lake_failures("commit to", location):
            yield
    except LostRaceError:
        return
