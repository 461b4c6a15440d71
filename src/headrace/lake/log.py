"""One entry of a Delta table's log: how a change becomes a commit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.schema import Field
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    RemoveAction,
    Transaction,
    create_table_with_add_actions,
)

from headrace.errors import LakeError
from headrace.lake.base import Commit, DataFile, StagedFile
from headrace.lake.columns import delta_fields, polars_schema
from headrace.lake.durable import make_folder, sync_file, sync_folder
from headrace.lake.failures import is_of_the_disk

if TYPE_CHECKING:
    import polars as pl

# The log is the record of what was ingested and published: it and its transactions are kept for good.
_PROPERTIES: Final = {
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.enableExpiredLogCleanup": "false",
    "delta.checkpointInterval": "20",
}


METADATA: Final = "headrace"
_COMMIT_INFO: Final = "commitInfo"


class LostRaceError(Exception):
    """Another writer made the version that this commit was for."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit adds and says.

    Parameters
    ----------
    staged : sequence of StagedFile
        The files to refer to.
    schema : polars.Schema
        The columns of the table.
    partition_by : tuple of str
        Its partition columns.
    metadata : mapping of str to str
        Ours, kept apart from Delta's own.
    transactions : sequence of (str, int)
        Recorded with the commit.
    data_change : bool
        False where the same rows are only laid out anew.
    """

    staged: Sequence[StagedFile]
    schema: pl.Schema
    partition_by: tuple[str, ...]
    metadata: Mapping[str, str]
    transactions: Sequence[tuple[str, int]]
    data_change: bool = True

    def create(self, location: str) -> int:
        """Make the table with this change as its first version.

        Raises
        ------
        LostRaceError
            If it was made meanwhile.
        """
        make_folder(Path(location))
        with _one_try():
            create_table_with_add_actions(
                location,
                _delta_schema(self.schema),
                self._added(),
                partition_by=list(self.partition_by),
                configuration=_PROPERTIES,
                commit_properties=self._properties(),
            )
        _sync_version(location, 0)
        return 0

    def write(self, handle: DeltaTable, removed: Sequence[DataFile]) -> int:
        """Commit on top of exactly the version that `handle` shows.

        Raises
        ------
        LostRaceError
            If there is a newer version.
        """
        with _one_try():
            handle = self._with_new_columns(handle)
            return self._commit(handle, [*self._added(), *self._removed(removed)], "append", handle.schema())

    def overwrite(self, handle: DeltaTable) -> int:
        """Commit the files and columns of this change in the place of all that `handle` shows.

        Raises
        ------
        LostRaceError
            If there is a newer version.
        """
        with _one_try():
            return self._commit(handle, [*self._added()], "overwrite", _delta_schema(self.schema))

    def _commit(self, handle: DeltaTable, actions: list[AddAction | RemoveAction], mode: str, schema: Schema) -> int:
        version = handle.version() + 1
        handle.create_write_transaction(
            actions, mode, schema, partition_by=list(self.partition_by), commit_properties=self._properties()
        )
        _sync_version(handle.table_uri, version)
        return version

    def _with_new_columns(self, handle: DeltaTable) -> DeltaTable:
        known = polars_schema(json.loads(handle.schema().to_json())["fields"])
        _refuse_retyped(handle.table_uri, known, self.schema)
        added = {name: dtype for name, dtype in self.schema.items() if name not in known}
        if not added:
            return handle
        fields = [Field.from_json(json.dumps(field)) for field in delta_fields(added)]
        columns = CommitProperties(custom_metadata={METADATA: {"operation": "add columns"}}, max_commit_retries=0)
        handle.alter.add_columns(fields, commit_properties=columns)
        return DeltaTable(handle.table_uri)

    def _added(self) -> list[AddAction]:
        now_ms = int(time.time() * 1_000)
        return [
            AddAction(f.path, f.size_bytes, dict(f.partition), now_ms, self.data_change, f.stats) for f in self.staged
        ]

    def _removed(self, files: Sequence[DataFile]) -> list[RemoveAction]:
        now_ms = int(time.time() * 1_000)
        return [RemoveAction(f.path, self.data_change, now_ms, f.size_bytes, dict(f.partition)) for f in files]

    def _properties(self) -> CommitProperties:
        return CommitProperties(
            custom_metadata={METADATA: dict(self.metadata)},
            max_commit_retries=0,
            app_transactions=[Transaction(app_id, number) for app_id, number in self.transactions],
        )


def read_commit(table: Path, version: int) -> Commit:
    """Read what the writer of a version said about it.

    It is read from the version's own entry: the library's history numbers its entries back from the version
    that a handle shows, which is wrong by one for each commit made since the handle was opened.
    """
    entry = table / "_delta_log" / f"{version:020d}.json"
    actions = (json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines() if _COMMIT_INFO in line)
    info: dict[str, Any] = next((action[_COMMIT_INFO] for action in actions if _COMMIT_INFO in action), {})
    return Commit(version, info.get("timestamp", 0) * 1_000, info.get(METADATA) or {})


@contextmanager
def _one_try() -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        if is_of_the_disk(error) or not (isinstance(error, CommitFailedError) or "already exists" in str(error)):
            raise
        raise LostRaceError from error


def _delta_schema(schema: pl.Schema) -> Schema:
    return Schema.from_json(json.dumps({"type": "struct", "fields": delta_fields(schema)}))


def _refuse_retyped(location: str, known: pl.Schema, wanted: pl.Schema) -> None:
    for name, dtype in wanted.items():
        if name in known and known[name] != dtype:
            raise LakeError(f"{location}: column '{name}' is {known[name]} there and can't become {dtype}.")


def _sync_version(location: str, version: int) -> None:
    log = Path(location.removeprefix("file://")) / "_delta_log"
    sync_file(log / f"{version:020d}.json")
    sync_folder(log)
