"""Which rows each lane had: silver, without some rows and with others, as a cause of differences would have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from headrace.engines.transforms import run_transform
from headrace.platform.verify_recomputing import Rows
from headrace.quality.base import KNOWN

_AT = pl.col(KNOWN).dt.epoch("us")


@dataclass(frozen=True)
class OtherRows(Rows):
    """The rows that a lane may have had.

    Parameters
    ----------
    kept : tuple of expression
        Which rows of silver, all of them to hold.
    without : tuple of frame
        Rows of silver that are left out, by some of their columns.
    added : tuple of frame
        Rows that silver does not have, in its columns.
    """

    kept: tuple[pl.Expr, ...] = ()
    without: tuple[pl.DataFrame, ...] = ()
    added: tuple[pl.DataFrame, ...] = ()

    @property
    def _scan(self) -> pl.LazyFrame:
        scan = super()._scan
        for condition in self.kept:
            scan = scan.filter(condition)
        for rows in self.without:
            scan = scan.join(rows.lazy(), on=rows.columns, how="anti")
        known = [rows.lazy().filter(self.until > _AT) for rows in self.added]
        return pl.concat([scan, *known], how="diagonal_relaxed") if known else scan

    @property
    def changes_nothing(self) -> bool:
        """Whether it has exactly the rows of silver."""
        return not self.kept and not any(len(rows) for rows in (*self.without, *self.added))

    def known(self, entities: pl.DataFrame) -> pl.DataFrame:
        """The keys of the rows of some entities, and when each counts from."""
        rows = self._rows(entities)
        made = rows if self.view.transform is None else run_transform(self.view, rows)
        found = made.select(*self._keys(entities.schema), _AT.alias(KNOWN))
        return found.join(entities, on=entities.columns, how="semi") if entities.columns else found

    def joined(self, others: Sequence[OtherRows]) -> OtherRows:
        """These with the changes of all others."""
        return replace(
            self,
            kept=tuple(each for other in others for each in other.kept),
            without=tuple(each for other in others for each in other.without),
            added=tuple(each for other in others for each in other.added),
        )
