"""One epoch of a followed source: its records to bronze, then bronze to silver and quarantine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace.definitions.sources import Source
from headrace.errors import ConflictError
from headrace.platform.compacting import compact_source
from headrace.platform.ingest import check_definition
from headrace.platform.ledger import STREAM, Batch, Ledger
from headrace.platform.refining import Counts, Refiner
from headrace.platform.stream_landing import Head, Taken, land_taken
from headrace.platform.tail import Pace
from headrace.platform.turns import taken as lock_taken

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context

COMPACT_EVERY: Final = 10


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes epochs in, each under the source's turn.

    An epoch is landed only when the one before is in silver, so that at most one is ever unfinished.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        What is followed.
    counts : Counts
        Is added to.
    pace : Pace
        Whether to stop while another process has the turn, and whom to tell.
    """

    context: Context
    source: Source
    counts: Counts
    pace: Pace

    def head(self) -> Head | None:
        """How far bronze has the stream, once an epoch that a killed run left is in silver; None: stopped."""
        turn = self._turn()
        if turn is None:
            return None
        with turn:
            check_definition(self.source, self._silver)
            head = Head.read(self._bronze)
            self._refine(head)
            return head

    def take(self, head: Head, taken: Taken) -> Head | None:
        """Land what was read behind a head and refine it; None: stopped before.

        Raises
        ------
        ConflictError
            If another process landed it first.
        RejectedError, SchemaChangedError
            As for files: silver has nothing of the epoch.
        """
        turn = self._turn()
        if turn is None:
            return None
        with turn:
            check_definition(self.source, self._silver)
            with self.counts.timed("land"):
                head = land_taken(self._bronze, head, taken, self.context.clock())
            self._refine(head)
            if head.epoch % COMPACT_EVERY == 0:
                with self.counts.timed("compact"):
                    compact_source(self.context, self.source)
            return head

    @property
    def _bronze(self) -> Table:
        return self.context.lake.table("bronze", self.source.name)

    @property
    def _silver(self) -> Table:
        return self.context.lake.table("silver", self.source.name)

    def _turn(self) -> ExitStack | None:
        told = False

        def gives_up(error: ConflictError) -> bool:
            nonlocal told
            if not told:
                self.pace.tell(f"{error} Waiting for it to end.")
            told = True
            return self.pace.stop()

        try:
            return lock_taken(self.context.lake, f"ingest-{self.source.name}", gives_up)
        except ConflictError:
            return None

    def _refine(self, head: Head) -> None:
        for batch in self._unfinished(head):
            Refiner(self.context.lake, self.source, self._silver, {}, self.counts).refine(batch)

    def _unfinished(self, head: Head) -> list[Batch]:
        """The epochs that silver does not have: the last one, unless its silver was removed."""
        done = self._silver.transaction_version(STREAM) or 0
        if head.batch is None or done >= head.epoch:
            return []
        if done == head.epoch - 1:
            return [head.batch]
        return [batch for batch in Ledger.read(self._bronze).batches if batch.epoch > done]
