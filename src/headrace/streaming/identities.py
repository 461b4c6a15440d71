"""The ids of rows that came lately, so that a second copy of one is left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from headrace.quality.base import KNOWN
from headrace.quality.dedupe import without_copies

_PLACE = "_hr_place"


@dataclass(frozen=True, slots=True)
class Identities:
    """Which rows came within ``dedupe_within``.

    Of copies in one epoch the one known earliest stays, as in files; of those in two epochs the one read first.

    Parameters
    ----------
    columns : tuple of str
        What tells rows apart; nothing is a copy where it is empty.
    within_us : int
        How far apart copies may be known, in microseconds.
    seen : frame, optional
        The columns and when each row counts from.
    """

    columns: tuple[str, ...]
    within_us: int
    seen: pl.DataFrame | None = None

    def fresh(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that are no copies of others of theirs, nor of those that came before."""
        unique = without_copies(rows, self.columns, self.within_us)
        if self.seen is None or not self.columns or unique.is_empty():
            return unique
        wanted = unique.select(*self.columns, KNOWN).with_row_index(_PLACE)
        pairs = self.seen.join(wanted, on=list(self.columns), suffix="_new")  # the table is built of the few
        near = (pl.col(KNOWN) - pl.col(f"{KNOWN}_new")).abs() <= timedelta(microseconds=self.within_us)
        copies = pairs.filter(near)[_PLACE].unique()
        if not len(copies):
            return unique
        return unique.filter(~pl.int_range(pl.len(), dtype=pl.UInt32).is_in(copies.implode()))

    def with_rows(self, rows: pl.DataFrame, cut: int) -> Identities:
        """After an epoch: its rows remembered, and forgotten what no later row can be a copy of."""
        if not self.columns:
            return self
        new = rows.select(*self.columns, KNOWN)
        seen = new if self.seen is None else pl.concat([self.seen, new], how="vertical_relaxed")
        recent = pl.col(KNOWN).dt.epoch("us") >= cut - self.within_us
        return Identities(self.columns, self.within_us, seen.filter(recent))
