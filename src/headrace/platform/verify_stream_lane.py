"""What a stream says that it has made of a view: through when, since when, and of which records of its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.definitions.fingerprint import view_fingerprint
from headrace.lake.reading import collect
from headrace.platform.gold import DAY_COLUMN
from headrace.platform.lookup import TIME
from headrace.platform.online_heads import read_head
from headrace.platform.stream_sinks import GENERATION, STREAMED
from headrace.platform.verify_stream_workers import Reached, positions, reached, settled
from headrace.types import BEGINNING, FOREVER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headrace.definitions.views import FeatureView
    from headrace.lake.base import Table
    from headrace.platform.context import Context
    from headrace.platform.online_heads import Head


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a stream has made of a view, as of one of its epochs.

    Parameters
    ----------
    view : FeatureView
        The view.
    head : Head
        By which its records are read.
    table : Table
        Its steps.
    version : int
        That of the table.
    since : int
        From when on all of its steps are there, in microseconds.
    behind : tuple of (int, int)
        Of each epoch with rows that counted before its first instant: the earliest of them, and that instant.
    positions : mapping of str to int
        By partition, which offset comes next.
    reached : tuple of Reached
        How far each of its workers has come.
    has_steps : bool
        Whether it writes its steps into the lake.
    hint : str
        What is not there, and how it could be.
    """

    view: FeatureView
    head: Head
    table: Table
    version: int
    since: int
    behind: tuple[tuple[int, int], ...]
    positions: Mapping[str, int]
    reached: tuple[Reached, ...]
    has_steps: bool
    hint: str

    @property
    def generation(self) -> int:
        """That of its records, and of the steps that are compared."""
        return self.head.generation

    @property
    def cut(self) -> int:
        """Through when all of its steps are final and there, in microseconds."""
        return min(each.cut for each in self.reached)

    def scan(self) -> pl.LazyFrame:
        """All steps of its generation."""
        return self.table.scan(self.version).filter(pl.col(GENERATION) == self.generation)

    def steps(self, since: int, until: int) -> pl.DataFrame:
        """Its steps within ``[since, until)``."""
        at = pl.col(TIME).dt.epoch("us")
        days = pl.col(DAY_COLUMN).is_between(_day(since), _day(until - 1))
        return collect(self.scan().filter(days, at >= since, at < until), self.table, self.version)

    def empty(self) -> pl.DataFrame:
        """Its columns, and no step."""
        return pl.DataFrame(schema=self.table.schema())


def streamed_lane(context: Context, view: FeatureView) -> Streamed | str:
    """What a stream has made of a view; what is to be said where that is nothing."""
    head, fingerprint = read_head(context.online, view.name), view_fingerprint(view)
    run = f"headrace stream --source {view.source.name}"
    if head is None or not head.stream:
        return f"was never streamed. Run: {run}"
    if head.fingerprint != fingerprint:
        return f"is not streamed as it is defined now: its stream still serves the definition before. Restart it: {run}"
    hold = context.registry.holds().get(view.name)
    if hold is not None:
        return f"is held ({hold.reason}), so its stream makes no steps of it. Run: headrace release {view.name}"
    statuses = settled(context, view.source.name)
    table = context.lake.table(STREAMED, view.name, fingerprint)
    writes = bool(statuses) and all("lake" in each.sinks for each in statuses)
    has_steps = table.exists() and writes
    commits = _commits(table, head.generation) if has_steps else []
    return Streamed(
        view, head, table, table.version() if has_steps else -1, _since(commits),
        _behind(commits), positions(statuses), reached(statuses, head), has_steps, "" if writes else _NO_LAKE,
    )  # fmt: skip


_NO_LAKE: Final = (
    "its stream does not write its steps into the lake, so only what is served is compared. For each step set "
    'stream_sinks = "online, lake" in headrace.toml and start the stream again'
)


def _commits(table: Table, generation: int) -> list[Mapping[str, str]]:
    """What the commits of a generation say of themselves, in order."""
    notes = (commit.metadata for commit in table.commits())
    return [note for note in notes if note.get("generation") == str(generation)]


def _since(commits: Sequence[Mapping[str, str]]) -> int:
    """From when on each step is written: all workers of a generation begin at one cut, and go on from another's."""
    return min((int(note["since"]) for note in commits), default=FOREVER)


def _behind(commits: Sequence[Mapping[str, str]]) -> tuple[tuple[int, int], ...]:
    found = ((int(note["least"]), int(note["since"])) for note in commits)
    return tuple((least, since) for least, since in found if least < since)


def _day(at: int) -> Any:
    """The UTC day of an instant, as a literal."""
    bounded = max(BEGINNING // 4, min(at, FOREVER // 4))
    return pl.lit(bounded).cast(pl.Datetime("us", "UTC")).dt.date()
