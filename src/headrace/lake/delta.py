"""Delta tables on a local disk, by delta-rs. No JVM; Spark, DuckDB and Trino read them too."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.errors import ConflictError, LakeError, VersionGoneError
from headrace.lake.base import Commit, DataFile, Mode, StagedFile, Table, Transaction, VacuumReport
from headrace.lake.failures import lake_failures
from headrace.lake.snapshots import files_of, in_partitions, is_done, lengths_of, refuse_other_columns, schema_of

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
        return schema_of(self._handle())

    def scan(self, version: int | None = None) -> pl.LazyFrame:
        """The rows of a version; filters skip partitions and files by their statistics."""
        import polars as pl

        from headrace.lake.columns import logical
        from headrace.lake.reading import check_files

        handle = self._handle(version)
        check_files(Path(self.location), lengths_of(handle))
        with lake_failures("read", self.location):
            return logical(pl.scan_delta(handle), schema_of(handle))

    def files(self, version: int | None = None) -> list[DataFile]:
        """The files of a version, with what is known of their values."""
        return files_of(self._handle(version))

    def scan_files(self, files: Sequence[DataFile]) -> pl.LazyFrame:
        """The rows of some files of any version, with the columns of the newest one."""
        from headrace.lake.reading import check_files, scan_parts

        root = Path(self.location)
        check_files(root, ((file.path, file.size_bytes) for file in files))
        return scan_parts(root, [file.path for file in files], self.schema())

    def scan_staged(
        self, staged: Sequence[StagedFile], schema: Mapping[str, pl.DataType] | None = None
    ) -> pl.LazyFrame:
        """The rows of exactly these staged files; see `Table.scan_staged`."""
        from headrace.lake.reading import check_files, scan_parts, staged_columns, unusable_candidate

        root = Path(self.location)
        check_files(root, ((file.path, file.size_bytes) for file in staged), unusable_candidate)
        if schema is None:
            schema = staged_columns(staged) if staged or not self.exists() else self.schema()
        return scan_parts(root, [file.path for file in staged], schema)

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
        removed: Sequence[DataFile] = (),
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
                if handle is not None and transaction is not None and is_done(handle, transaction):
                    return None
                self._expect(handle, expected_version)
                self._expect_files(handle, removed)
                if handle is None:
                    return change.create(self.location)
                if mode == "replace" and replace_partitions is None:
                    return change.overwrite(handle)
                emptied = in_partitions(files_of(handle), replace_partitions or []) if mode == "replace" else []
                return change.write(handle, _once([*removed, *emptied]))
        raise AssertionError  # _attempts raises after the last one

    def restore(
        self,
        version: int,
        *,
        metadata: Mapping[str, str],
        expected_version: int | None = None,
        transaction: Transaction | None = None,
    ) -> int | None:
        """Commit the content of an older version again; see `Table.restore`."""
        from headrace.lake.log import Change
        from headrace.lake.staging import staged_again

        for attempt in _attempts(self.location):
            with attempt:
                handle = self._handle()
                older = self._version(version, handle)
                if transaction is not None and is_done(handle, transaction):
                    return None
                self._expect(handle, expected_version)
                refuse_other_columns(handle, older)
                self._refuse_gone(older)
                schema, now, then = schema_of(handle), files_of(handle), files_of(older)
                again = [staged_again(file, schema) for file in _without(then, now)]
                partition_by = tuple(handle.metadata().partition_columns)
                change = Change(again, schema, partition_by, metadata, [transaction] if transaction else [])
                return change.write(handle, _without(now, then))
        raise AssertionError  # _attempts raises after the last one

    def missing_files(self, version: int) -> list[str]:
        """The files of a version that vacuum removed."""
        from headrace.lake.reading import absent

        return absent(Path(self.location), (path for path, _ in lengths_of(self._version(version))))

    def vacuum(
        self, keep: Sequence[int], *, newer_than_us: int | None, spare: Collection[str] = (), dry_run: bool = False
    ) -> VacuumReport:
        """Delete what neither the newest version nor those to keep refer to; see `Table.vacuum`."""
        from headrace.lake.vacuum import found_files, swept

        found = found_files(Path(self.location))
        newest = self._open()
        if newest is None:
            return VacuumReport()
        handles = [newest, *(self._version(version, newest) for version in {*keep} - {newest.version()})]
        needed = {path for handle in handles for path, _ in lengths_of(handle)}
        return swept(Path(self.location), found, needed, newer_than_us, spare, dry_run=dry_run)

    def orphans(self) -> list[str]:
        """The data files that no version ever referred to."""
        from headrace.lake.vacuum import ever_referred_to, found_files, unneeded

        found = found_files(Path(self.location))
        handle = self._open()
        known = set() if handle is None else ever_referred_to(Path(self.location), handle.version())
        return [file.path for file in unneeded(found, known, None, ())[0]]

    def vacuum_orphans(
        self, *, newer_than_us: int | None, spare: Collection[str] = (), dry_run: bool = False
    ) -> VacuumReport:
        """Delete the files of `orphans`; see `Table.vacuum_orphans`."""
        from headrace.lake.vacuum import ever_referred_to, found_files, swept

        found = found_files(Path(self.location))
        handle = self._open()
        if handle is None:
            return VacuumReport()
        known = ever_referred_to(Path(self.location), handle.version())
        return swept(Path(self.location), found, known, newer_than_us, spare, dry_run=dry_run)

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

    def rewrite(
        self,
        removed: Sequence[DataFile],
        staged: Sequence[StagedFile],
        metadata: Mapping[str, str],
        *,
        expected_version: int | None = None,
    ) -> int:
        """Put other files with the same rows in the place of some files; see `Table.rewrite`."""
        from headrace.lake.log import Change

        for attempt in _attempts(self.location):
            with attempt:
                handle = self._handle()
                self._expect(handle, expected_version)
                self._expect_files(handle, removed)
                partition_by = tuple(handle.metadata().partition_columns)
                change = Change(staged, schema_of(handle), partition_by, metadata, [], data_change=False)
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

    def commit_at(self, version: int) -> Commit:
        """One commit, without reading the others."""
        from headrace.lake.log import read_commit

        with lake_failures("read", self.location):
            try:
                return read_commit(Path(self.location), version)
            except FileNotFoundError:
                raise self._no_version(version) from None

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

    def _version(self, version: int, newest: Handle | None = None) -> Handle:
        newest = newest or self._handle()
        if not 0 <= version <= newest.version():
            raise self._no_version(version)
        return newest if version == newest.version() else self._handle(version)

    def _no_version(self, version: int) -> LakeError:
        return LakeError(f"{self.location}: there is no version {version}. `headrace versions` lists those there are.")

    def _refuse_gone(self, older: Handle) -> None:
        from headrace.lake.reading import absent, check_files

        files, root = dict(lengths_of(older)), Path(self.location)
        if gone := absent(root, files):
            raise VersionGoneError(
                f"{root}: {gone[0]} of version {older.version()} is gone ({len(gone)} of its {len(files)} files are): "
                "vacuum removed it. Choose a later version, or make the content again by a backfill."
            )
        check_files(root, files.items())

    def _expect_files(self, handle: Handle | None, files: Iterable[DataFile]) -> None:
        wanted = {file.path for file in files}
        if wanted and (gone := wanted - {path for path, _ in (lengths_of(handle) if handle else ())}):
            raise ConflictError(f"{self.location}: {min(gone)} was replaced meanwhile. Run it again.")

    def _expect(self, handle: Handle | None, version: int | None) -> None:
        found = -1 if handle is None else handle.version()
        if version is not None and found != version:
            raise ConflictError(
                f"{self.location}: it is at version {found}, and {version} was expected: another writer was first. "
                "Run it again."
            )


def _without(files: Iterable[DataFile], others: Iterable[DataFile]) -> list[DataFile]:
    paths = {file.path for file in others}
    return [file for file in files if file.path not in paths]


def _once(files: Iterable[DataFile]) -> list[DataFile]:
    return list({file.path: file for file in files}.values())


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
