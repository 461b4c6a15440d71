"""Copies of a row of which a stream kept another than silver: of those in two epochs, the one that was read first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.platform.gold import silver_table
from headrace.platform.landing import BATCH, FILE, ROW
from headrace.platform.silver import ORIGIN, identity
from headrace.platform.verify_stream_log import BY_STREAM, judged_rows

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.verify_stream_rows import OtherRows

_MOST_ROWS: Final = 2_000_000


def with_first_copies(context: Context, rows: OtherRows, positions: Mapping[str, int], notes: list[str]) -> OtherRows:
    """The rows of silver, with the copies that were read first in the place of those that stayed.

    Parameters
    ----------
    context : Context
        The project.
    rows : OtherRows
        What silver has.
    positions : mapping of str to int
        Up to where the stream has read each partition.
    notes : list of str
        What could not be looked at; is added to.
    """
    source, columns = rows.view.source, list(identity(rows.view.source))
    bronze = context.lake.table("bronze", source.name)
    if not columns or not positions or not bronze.exists():
        return rows
    if sum(file.rows for file in bronze.files()) > _MOST_ROWS:
        notes.append(f"{source.where}: bronze has more than {_MOST_ROWS:,} rows, so copies were not looked for")
        return rows
    read = pl.LazyFrame({FILE: list(positions), "_hr_next": list(positions.values())})
    received = bronze.scan().filter(BY_STREAM).join(read, on=FILE).filter(pl.col(ROW) < pl.col("_hr_next"))
    accepted = judged_rows(context, source, received.sort(BATCH, FILE, ROW).drop("_hr_next").collect())
    copies = accepted.filter(accepted.select(pl.struct(columns).is_duplicated()).to_series())
    first = copies.unique(columns, keep="first", maintain_order=True)
    silver = silver_table(context.lake, source).scan(rows.version).select(*ORIGIN, *columns)
    there = silver.join(first.lazy().select(columns), on=columns, how="semi").collect()
    other = first.join(there, on=[FILE, ROW], how="anti")
    return replace(rows, added=(other,), without=(there.join(other, on=columns, how="semi").select(ORIGIN),))
