"""How rejected rows are kept: one partition a batch, so that it can be replaced whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.definitions.sources import Source
from headrace.platform.crash_points import crash_point
from headrace.platform.landing import ARRIVED, BATCH, FILE, ROW
from headrace.quality.base import UTC
from headrace.quality.contract import REDACTED

if TYPE_CHECKING:
    from headrace.lake.base import Table

SCHEMA: Final = pl.Schema([
    ("reasons", pl.List(pl.String())), ("columns", pl.List(pl.String())), ("found", pl.List(pl.String())),
    ("row", pl.String()), (FILE, pl.String()), (ROW, pl.Int64()), (ARRIVED, UTC), (BATCH, pl.String()),
])  # fmt: skip
MOST_ROWS_OF_A_STOPPED_BATCH: Final = 10_000


def as_quarantined(source: Source, rejected: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows as they are kept: the row as JSON, personal columns told by nothing but their name."""
    shown = [_shown(name, rejected.schema[name], name in source.personal) for name in source.schema]
    row = pl.struct(shown).struct.json_encode().alias("row")
    return rejected.with_columns(row).select(SCHEMA.names())


def write(table: Table, batch_id: str, rows: pl.DataFrame, metadata: dict[str, str], digest: str) -> None:
    """Put these rows in the place of what is kept of a batch.

    Parameters
    ----------
    table : Table
        The quarantine of a source.
    batch_id : str
        The batch.
    rows : polars.DataFrame
        As `SCHEMA`; may be empty.
    metadata : dict of str to str
        Of the commit.
    digest : str
        What was decided by what: the same decision is committed once.
    """
    if not rows.height and not of_batch(table, batch_id).height:
        return
    staged = [table.stage(rows, {BATCH: batch_id})] if rows.height else []
    made = table.commit(
        staged,
        schema=SCHEMA,
        mode="replace",
        partition_by=[BATCH],
        replace_partitions=[{BATCH: batch_id}],
        metadata={"batch": batch_id, "rows": str(rows.height)} | metadata,
        transaction=(f"batch:{batch_id}:{digest}", 1),
    )
    crash_point("after quarantine commit")
    if made is None:
        table.discard(staged)


def of_batch(table: Table, batch_id: str) -> pl.DataFrame:
    """What is kept of a batch."""
    if not table.exists():
        return pl.DataFrame(schema=SCHEMA)
    return table.scan_files([file for file in table.files() if file.partition[BATCH] == batch_id]).collect()


def _shown(name: str, dtype: pl.DataType, is_personal: bool) -> pl.Expr:
    if is_personal:
        return pl.when(pl.col(name).is_not_null()).then(pl.lit(REDACTED)).alias(name)
    if dtype == pl.Binary:
        return pl.col(name).bin.encode("hex")
    return pl.col(name).cast(pl.String) if isinstance(dtype, pl.Decimal) else pl.col(name)
