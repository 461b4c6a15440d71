"""What a version of a Delta table consists of, as a handle of the library shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import LakeError
from headrace.lake.base import DataFile, Transaction

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable as Handle


def schema_of(handle: Handle) -> pl.Schema:
    """The columns, as they were given to `commit`."""
    from headrace.lake.columns import polars_schema

    return polars_schema(json.loads(handle.schema().to_json())["fields"])


def lengths_of(handle: Handle) -> Iterator[tuple[str, int]]:
    """The path and length in bytes of each file."""
    import polars as pl

    return pl.DataFrame(handle.get_add_actions()).select("path", "size_bytes").iter_rows()


def files_of(handle: Handle) -> list[DataFile]:
    """The files, with what is known of their values."""
    import polars as pl

    return [_data_file(row) for row in pl.DataFrame(handle.get_add_actions()).to_dicts()]


def _data_file(row: Mapping[str, Any]) -> DataFile:
    known = {
        kind: {name: value for name, value in (row.get(kind) or {}).items() if value is not None}
        for kind in ("min", "max", "null_count")
    }
    partition = {name: str(value) for name, value in (row.get("partition") or {}).items()}
    nulls = {name: count for name, count in known["null_count"].items() if isinstance(count, int)}
    return DataFile(
        row["path"], row["size_bytes"], row["num_records"], partition, known["min"], known["max"], nulls
    )  # fmt: skip


def in_partitions(files: Sequence[DataFile], partitions: Sequence[Mapping[str, str]]) -> list[DataFile]:
    """The files of some partitions."""
    wanted = {tuple(sorted(partition.items())) for partition in partitions}
    return [file for file in files if tuple(sorted(file.partition.items())) in wanted]


def is_done(handle: Handle, transaction: Transaction) -> bool:
    """Whether an application committed this number or a later one."""
    last = handle.transaction_version(transaction[0])
    return last is not None and last >= transaction[1]


def refuse_other_columns(newest: Handle, older: Handle) -> None:
    """Refuse an older version whose columns the newest one has no longer, or with other types.

    Raises
    ------
    LakeError
        Names the first such column.
    """
    known = schema_of(newest)
    for name, dtype in schema_of(older).items():
        if known.get(name) != dtype:
            found = f"{known[name]} in the newest" if name in known else "the newest has none"
            raise LakeError(
                f"{newest.table_uri}: version {older.version()} can't be restored: its column '{name}' is {dtype}, "
                f"and {found}."
            )
