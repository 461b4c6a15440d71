"""A stream's records as rows: decoded, judged by the contract, masked, with the time from which each counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from headrace.connectors.streams import APPENDED
from headrace.platform.decoding import FEW_ROWS, with_origin
from headrace.platform.landing import ARRIVED, BATCH
from headrace.platform.quarantine_table import as_quarantined
from headrace.platform.refining import as_silver, reasons
from headrace.quality.base import UTC
from headrace.quality.contract import judge, split
from headrace.quality.masking import mask_frame
from headrace.quality.times import late_rows, with_known, with_times

if TYPE_CHECKING:
    from headrace.connectors.base import Reader
    from headrace.definitions.sources import Source


@dataclass(frozen=True, slots=True)
class Judged:
    """What a contract made of an epoch's records.

    Parameters
    ----------
    rows : frame
        The accepted ones, in the columns of silver.
    rejected : frame
        The others, as quarantine keeps them.
    reasons : Counter
        How many rows failed for each reason.
    late : int
        How many of the accepted ones were known later than ``max_lateness``.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    reasons: Counter[str]
    late: int


def judged(source: Source, reader: Reader, received: pl.DataFrame, read_at: int, batch: str) -> Judged:
    """Decode an epoch's records and judge each by the source's contract.

    Parameters
    ----------
    source : Source
        The contract.
    reader : Reader
        For the records' format.
    received : frame
        As `headrace.connectors.streams.RECEIVED`.
    read_at : int
        When they were read, in microseconds: when they arrived, where the log does not say that.
    batch : str
        The epoch, as quarantine names it.

    Raises
    ------
    SchemaChangedError
        If they are many, and none of them has a column that is declared.
    """
    arrived = pl.coalesce(APPENDED, pl.lit(read_at).cast(UTC)).alias(ARRIVED)
    taken = received.with_columns(arrived, pl.lit(batch).alias(BATCH))
    decoded = reader.decode(taken, whole=taken.height >= FEW_ROWS)
    rows = with_times(with_origin(decoded, taken), source, None)
    failures = judge(source, rows, decoded.failures, decoded.added)
    accepted, rejected = split(rows, failures)
    masked = with_known(mask_frame(accepted, source), source)
    quarantined = as_quarantined(source, rejected)
    return Judged(as_silver(source, masked, ()), quarantined, reasons(failures), late_rows(masked, source))
