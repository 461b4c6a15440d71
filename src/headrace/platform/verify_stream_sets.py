"""The rows that a stream may have had where silver has others: a set for each way in which lanes may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.lake.reading import collect
from headrace.platform.gold import Gold, silver_table
from headrace.platform.landing import FILE, ROW
from headrace.platform.silver import ORIGIN, identity
from headrace.platform.stream_sinks import STREAMED
from headrace.platform.verify_stream_copies import with_first_copies
from headrace.platform.verify_stream_log import BY_STREAM, judged_rows, landed_positions, read_behind
from headrace.platform.verify_stream_rows import OtherRows
from headrace.quality.base import AVAILABLE, KNOWN
from headrace.quality.dedupe import against, without_copies

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context
    from headrace.platform.verify_stream_lane import Streamed

NOT_INGESTED: Final = "not ingested yet by the batch lane"
NOT_READ: Final = "not read by the stream: another range of its log"
BY_FILE: Final = "rows that did not come by the stream"
QUARANTINED: Final = "a row was quarantined in one lane only"
COPIED: Final = "another copy of a row stayed: the one that the stream read first"
LOADED: Final = "rows came later that were known before the publication that the stream began with"
SEVERAL: Final = "several of these together"
_RECORD: Final = [FILE, ROW]
"""What tells records of a stream apart."""


@dataclass
class RowSets:
    """By cause, the rows that the stream then had; each is read when it is first asked for.

    Parameters
    ----------
    context : Context
        The project.
    lane : Streamed
        What the stream says of itself.
    rows : OtherRows
        What silver has.
    landed : mapping of str to int
        By partition, how far silver has the stream.
    notes : list of str
        What could not be looked at; is added to.
    """

    context: Context
    lane: Streamed
    rows: OtherRows
    landed: Mapping[str, int]
    notes: list[str]
    _found: dict[str, OtherRows] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, context: Context, lane: Streamed, until: int) -> RowSets:
        """What silver has now of the rows that were known before an instant."""
        source = lane.view.source
        silver = silver_table(context.lake, source)
        landed = landed_positions(context.lake.table("bronze", source.name), silver)
        return cls(context, lane, OtherRows(context, lane.view, silver.version(), until), landed, [])

    def under(self, cause: str) -> OtherRows | None:
        """The rows under a cause; None if these are all of silver, as they are."""
        if cause not in self._found:
            self._found[cause] = self._several() if cause == SEVERAL else self._ways[cause]()
        found = self._found[cause]
        return None if found.changes_nothing else found

    @property
    def causes(self) -> list[str]:
        """All causes, in the order in which they are tried."""
        return [*self._ways, SEVERAL]

    @property
    def _ways(self) -> dict[str, Callable[[], OtherRows]]:
        return {
            NOT_INGESTED: self._with_what_follows, NOT_READ: self._without_what_follows, BY_FILE: self._without_files,
            QUARANTINED: self._as_refused, COPIED: self._with_first_copies, LOADED: self._as_loaded,
        }  # fmt: skip

    def _several(self) -> OtherRows:
        found = [each for cause in self._ways if (each := self.under(cause)) is not None]
        return self.rows.joined(found) if len(found) > 1 else self.rows

    def _with_what_follows(self) -> OtherRows:
        """With the records of the log that the stream has read, and silver does not have."""
        source, silver = self.rows.view.source, self._silver
        received = read_behind(self.context, source, self.landed, self.lane.positions, self.notes)
        if received is None or received.is_empty():
            return self.rows
        there = silver.scan(self.rows.version).select(_RECORD)
        new = judged_rows(self.context, source, received).lazy().join(there, on=_RECORD, how="anti").collect()
        columns = identity(source)
        unique = without_copies(new, columns, source.dedupe_within_us)
        if not columns:
            return replace(self.rows, added=(unique,))
        copies = silver.scan(self.rows.version).select(*columns, KNOWN, AVAILABLE, *ORIGIN)
        copies = copies.join(unique.lazy().select(columns).unique(), on=list(columns), how="semi")
        result = against(unique, collect(copies, silver, self.rows.version), columns, source.dedupe_within_us)
        return replace(self.rows, added=(result.kept,), without=(result.beaten.select(ORIGIN),))

    def _without_what_follows(self) -> OtherRows:
        """Without the rows of records behind those that the stream has read."""
        read = pl.DataFrame({FILE: list(self.lane.positions), "_hr_next": list(self.lane.positions.values())})
        if read.is_empty():
            return self.rows
        streamed = self._silver.scan(self.rows.version).filter(BY_STREAM).select(ORIGIN)
        later = streamed.join(read.lazy(), on=FILE).filter(pl.col(ROW) >= pl.col("_hr_next")).select(ORIGIN)
        return replace(self.rows, without=(later.collect(),))

    def _without_files(self) -> OtherRows:
        others = self._silver.scan(self.rows.version).filter(~BY_STREAM).select(FILE).head(1).collect()
        return replace(self.rows, kept=(BY_STREAM,)) if others.height else self.rows

    def _as_refused(self) -> OtherRows:
        """Without the rows that the stream refused, and with those that only the batch lane did."""
        lake, source = self.context.lake, self.rows.view.source
        by_stream = _refused(lake.table(STREAMED, f"{source.name}-quarantine"))
        by_batch = _refused(lake.table("quarantine", source.name))
        without = by_stream.join(by_batch, on=_RECORD, how="anti")
        alone = by_batch.join(by_stream, on=_RECORD, how="anti")
        if alone.is_empty():
            return replace(self.rows, without=(without,))
        bronze = lake.table("bronze", source.name).scan().filter(BY_STREAM)
        received = bronze.join(alone.lazy(), on=_RECORD, how="semi").collect()
        lax = replace(source, contract=(), max_future="36500d")
        return replace(self.rows, without=(without,), added=(judged_rows(self.context, lax, received),))

    def _with_first_copies(self) -> OtherRows:
        return with_first_copies(self.context, self.rows, self.lane.positions, self.notes)

    def _as_loaded(self) -> OtherRows:
        """With what silver had of the time before the publication that the lane was loaded from, when that was made."""
        gold = Gold.of(self.context, self.lane.view)
        numbered = {each.number: each for each in self.context.registry.publications(self.lane.view.name)}
        loaded = numbered.get(self.lane.head.number)
        if loaded is None or loaded.fingerprint != gold.fingerprint or loaded.vacuumed:
            return self.rows
        segments = gold.published_as(loaded).segments()
        version = max((each.silver_version for each in segments), default=self.rows.version)
        if version >= self.rows.version:
            return self.rows
        at = pl.col(KNOWN).dt.epoch("us")
        old = self._silver.scan(version).filter(at < loaded.frontier)
        return replace(self.rows, kept=(at >= loaded.frontier,), added=(collect(old, self._silver, version),))

    @property
    def _silver(self) -> Table:
        return silver_table(self.context.lake, self.rows.view.source)


def _refused(table: Table) -> pl.DataFrame:
    if not table.exists():
        return pl.DataFrame(schema={FILE: pl.String, ROW: pl.Int64})
    return table.scan().select(_RECORD).unique().collect()
