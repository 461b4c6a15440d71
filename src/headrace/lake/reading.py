"""Reading the files of a table: one that is gone or damaged is named before anybody computes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headrace.errors import LakeError
from headrace.lake.failures import damaged, lake_failures

if TYPE_CHECKING:
    import polars as pl

    from headrace.lake.base import StagedFile, Table


def check_files(
    root: Path, files: Iterable[tuple[str, int]], wrong: Callable[[Path, str], LakeError] = damaged
) -> None:
    """Compare files with the lengths that the log says; an engine may crash on a shorter one.

    Parameters
    ----------
    root : Path
        The table's folder.
    files : iterable of (str, int)
        Paths relative to it, and lengths in bytes.
    wrong : callable, optional
        Makes the error from the file and what was found.

    Raises
    ------
    LakeError
        For the first that is missing or has another length.
    """
    with lake_failures("read", root):
        for name, size_bytes in files:
            path = root / name
            try:
                found = path.stat().st_size
            except FileNotFoundError:
                raise wrong(path, "it is gone") from None
            if found != size_bytes:
                raise wrong(path, f"it has {found:,} bytes, and was written with {size_bytes:,}")


def absent(root: Path, paths: Iterable[str]) -> list[str]:
    """Those of some paths below `root` that are not there."""
    with lake_failures("read", root):
        return [path for path in paths if not (root / path).exists()]


def scan_parts(root: Path, paths: Sequence[str], schema: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """The rows of Parquet files below `root`, with the columns of `schema`: null in a file that lacks one."""
    import polars as pl

    from headrace.lake.columns import logical, stored_type

    if not paths:
        return pl.LazyFrame(schema=schema)
    kept = pl.Schema({name: stored_type(dtype) for name, dtype in schema.items()})
    places = [root / path for path in paths]
    rows = pl.scan_parquet(places, schema=kept, missing_columns="insert", hive_partitioning=False, glob=False)
    return logical(rows, schema)


def staged_columns(staged: Iterable[StagedFile]) -> dict[str, pl.DataType]:
    """The columns of candidate files together, in the order in which they appear.

    Raises
    ------
    LakeError
        If two files have one column with different types.
    """
    found: dict[str, pl.DataType] = {}
    for file in staged:
        for name, dtype in file.columns.items():
            if found.setdefault(name, dtype) != dtype:
                raise LakeError(f"candidate file {file.path}: column '{name}' is {dtype}, and {found[name]} in others.")
    return found


def unusable_candidate(path: Path, found: str) -> LakeError:
    """The error for a staged file that is not as it was written."""
    return LakeError(f"candidate file {path} can't be used: {found}. Run the command again to write it anew.")


def collect(
    rows: pl.LazyFrame, table: Table, version: int | None = None, *, engine: Literal["auto", "streaming"] = "auto"
) -> pl.DataFrame:
    """Collect rows that were scanned from a version of a table.

    Raises
    ------
    LakeError
        If a file can't be read: says which.
    """
    from polars.exceptions import ComputeError

    with lake_failures("read", table.location):
        try:
            return rows.collect(engine=engine)
        except (OSError, ComputeError):
            _name_damaged(table, version)
            raise


def _name_damaged(table: Table, version: int | None) -> None:
    """Read file by file until the damaged one is found."""
    import polars as pl
    from polars.exceptions import ComputeError

    for file in table.files(version):
        path = Path(table.location, file.path)
        try:
            pl.scan_parquet(path, hive_partitioning=False).collect()
        except (OSError, ComputeError) as error:
            raise damaged(path, str(error)) from error
