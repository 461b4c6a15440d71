"""Which share of rejected rows a batch is judged by, to stop where a source sends rubbish.

A batch of files is judged by itself. An epoch of a stream may have three rows, of which one torn one says nothing: it
is judged together with the epochs just before it, until they have `ENOUGH_ROWS` rows; a stream that never had as many
is not stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from headrace.definitions.sources import Source
from headrace.platform.landing import BATCH
from headrace.platform.ledger import Batch, batch_of

if TYPE_CHECKING:
    from headrace.lake.base import Lake, Table

ENOUGH_ROWS: Final = 1_000


class Share(NamedTuple):
    """Rejected rows among all rows of some batches.

    Parameters
    ----------
    rejected, rows : int
        How many.
    batches : int
        Of how many batches.
    """

    rejected: int
    rows: int
    batches: int = 1

    def is_above(self, limit: float) -> bool:
        """Whether more than a share `limit` of the rows is rejected."""
        return self.rejected / max(1, self.rows) > limit

    def __str__(self) -> str:
        """As people read it."""
        among = "" if self.batches == 1 else f" of the last {self.batches} epochs"
        return f"{self.rejected:,} of {self.rows:,} rows{among} ({self.rejected / max(1, self.rows):.1%})"


def rejected_share(lake: Lake, source: Source, batch: Batch, rejected: int) -> Share:
    """The share that decides about a batch of which some rows are rejected."""
    own = Share(rejected, batch.rows)
    if not batch.is_streamed or batch.rows >= ENOUGH_ROWS or not own.is_above(source.max_rejected_share):
        return own
    before = _just_before(lake.table("bronze", source.name), batch)
    rows = batch.rows + sum(each.rows for each in before)
    if rows < ENOUGH_ROWS:
        return Share(0, rows, 1 + len(before))
    kept = _quarantined(lake.table("quarantine", source.name), {each.id for each in before})
    return Share(rejected + kept, rows, 1 + len(before))


def _just_before(bronze: Table, batch: Batch) -> list[Batch]:
    """The epochs before one, the last one first, until there are rows enough."""
    found: list[Batch] = []
    missing, version = ENOUGH_ROWS - batch.rows, batch.version - 1
    while missing > 0 and version >= 0:
        earlier = batch_of(bronze.commit_at(version))
        if earlier is not None and earlier.is_streamed:
            found.append(earlier)
            missing -= earlier.rows
        version -= 1
    return found


def _quarantined(table: Table, batches: set[str]) -> int:
    if not table.exists():
        return 0
    return sum(file.rows for file in table.files() if file.partition[BATCH] in batches)
