"""Reading the files of a table: one that is gone or damaged is named before anybody computes with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from headrace.lake.failures import damaged, lake_failures

if TYPE_CHECKING:
    import polars as pl

    from headrace.lake.base import Table


def check_files(root: Path, files: Iterable[tuple[str, int]]) -> None:
    """Compare files with the lengths that the log says; an engine may crash on a shorter one.

    Parameters
    ----------
    root : Path
        The table's folder.
    files : iterable of (str, int)
        Paths relative to it, and lengths in bytes.

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
                raise damaged(path, "it is gone") from None
            if found != size_bytes:
                raise damaged(path, f"it has {found:,} bytes, and was written with {size_bytes:,}")


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
