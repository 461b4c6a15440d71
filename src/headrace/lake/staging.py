"""Writing a frame as a Parquet file that no version refers to yet."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import polars as pl

from headrace.errors import LakeError
from headrace.lake.base import DataFile, StagedFile
from headrace.lake.columns import stored
from headrace.lake.durable import make_folder, sync_file, sync_folder
from headrace.lake.failures import lake_failures

ROW_GROUP_ROWS: Final = 256_000
_PLAIN: Final = re.compile(r"[\w.-]+", re.ASCII)
FOLDER_ATTEMPTS: Final = 20
_LONGEST_TEXT: Final = 64
"""A longer text gets no statistics: cutting a maximum would have to round it up."""


def stage_file(root: Path, frame: pl.DataFrame, partition: Mapping[str, str]) -> StagedFile:
    """Write `frame` below `root`, durably, under a name that was never used.

    Parameters
    ----------
    root : Path
        The table's folder.
    frame : polars.DataFrame
        The rows, partition columns included.
    partition : mapping of str to str
        The values of the partition columns, as text.

    Raises
    ------
    LakeError
        If the file can't be written; what was written of it is removed.
    """
    path = root / _folder(partition) / f"part-{uuid4().hex}.parquet"
    kept = stored(frame)

    def write() -> None:
        try:
            kept.write_parquet(path, compression="lz4", row_group_size=ROW_GROUP_ROWS)
            sync_file(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    with lake_failures("write", path):
        _put(path, write)
        size_bytes = path.stat().st_size
    name = path.relative_to(root).as_posix()
    return StagedFile(name, dict(partition), size_bytes, frame.height, _stats(kept, partition), dict(frame.schema))


def _put(path: Path, write: Callable[[], None]) -> None:
    """Write a file into its folder, which vacuum may remove for being empty until the file is there."""
    for attempt in range(1, FOLDER_ATTEMPTS + 1):
        try:
            make_folder(path.parent)
            write()
            break
        except FileNotFoundError:
            if attempt == FOLDER_ATTEMPTS:
                raise
    sync_folder(path.parent)


def adopt_file(root: Path, other: Path, file: DataFile, columns: Mapping[str, pl.DataType]) -> StagedFile:
    """Stage a file of another table below `root`, under a new name, without copying if possible.

    Raises
    ------
    LakeError
        If it can't be written.
    """
    path = root / _folder(file.partition) / f"part-{uuid4().hex}.parquet"

    def write() -> None:
        try:
            path.hardlink_to(other / file.path)
        except OSError:
            shutil.copyfile(other / file.path, path)
            sync_file(path)
        os.utime(path)  # a link is as old as its file, and vacuum spares what is young

    with lake_failures("write", path):
        _put(path, write)
    return staged_again(file, columns, path.relative_to(root).as_posix())


def staged_again(file: DataFile, columns: Mapping[str, pl.DataType], path: str | None = None) -> StagedFile:
    """A data file as something to commit, with all that is known of its values.

    Parameters
    ----------
    file : DataFile
        The file.
    columns : mapping of str to polars.DataType
        Its columns.
    path : str, optional
        Where it is, if not where the version says.
    """
    stats = {
        "numRecords": file.rows,
        "minValues": {name: _as_json(value) for name, value in file.minimum.items() if _is_plain(value)},
        "maxValues": {name: _as_json(value) for name, value in file.maximum.items() if _is_plain(value)},
        "nullCount": dict(file.nulls),
    }
    return StagedFile(
        path or file.path, dict(file.partition), file.size_bytes, file.rows, json.dumps(stats), dict(columns)
    )


def _folder(partition: Mapping[str, str]) -> str:
    for column, value in partition.items():
        if not _PLAIN.fullmatch(value):
            raise LakeError(f"partition {column}={value!r}: use letters, digits, '.', '_' and '-' only.")
    return "/".join(f"{column}={value}" for column, value in partition.items())


def _stats(frame: pl.DataFrame, partition: Mapping[str, str]) -> str:
    columns = [c for c, dtype in frame.schema.items() if _has_order(dtype) and c not in partition]
    chosen = frame.select(columns)
    nulls = chosen.null_count().row(0)
    low, high = (f(chosen).row(0) for f in (pl.DataFrame.min, pl.DataFrame.max)) if columns else ((), ())
    unbounded = _with_nan(chosen)
    bounded = [
        (c, _as_json(a), _as_json(b))
        for c, a, b in zip(columns, low, high, strict=True)
        if _is_short(a) and _is_short(b) and c not in unbounded
    ]
    return json.dumps({
        "numRecords": frame.height,
        "minValues": {c: a for c, a, _ in bounded},
        "maxValues": {c: b for c, _, b in bounded},
        "nullCount": dict(zip(columns, nulls, strict=True)),
    })  # fmt: skip


def _has_order(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float() or dtype.is_temporal() or dtype == pl.String


def _with_nan(frame: pl.DataFrame) -> set[str]:
    floats = [c for c, dtype in frame.schema.items() if dtype.is_float()]
    finite = frame.select(pl.col(floats).is_finite().all()) if floats else pl.DataFrame()
    return {c for c in floats if not finite[c].item()}


def _is_short(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and len(value) > _LONGEST_TEXT)


def _is_plain(value: Any) -> bool:
    """Whether JSON can say it exactly; other writers' statistics may hold more."""
    return isinstance(value, str | int | date) or (isinstance(value, float) and math.isfinite(value))


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date):
        return value.isoformat()
    return value
