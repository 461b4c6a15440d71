"""Where a stream writes: records online, steps into the lake, refused rows aside. Each sink takes an epoch once."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.errors import FencedError, OnlineStoreError, SettingsError
from headrace.online.base import HEADER_BYTES, Stamp, header, stamp_of
from headrace.online.expiry import TIME
from headrace.online.record_keys import record_prefix
from headrace.online.records import with_layer
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import DAY_COLUMN
from headrace.platform.landing import BATCH
from headrace.platform.online_heads import Head, namespace_key, read_namespace, write_head
from headrace.platform.quarantine_table import SCHEMA
from headrace.streaming.lane import Items, Lane, Moved, everything
from headrace.timeline.packed_record import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from headrace.lake.base import Table
    from headrace.online.base import OnlineStore
    from headrace.platform.context import Context

EVERY_EPOCH: Final = 2**62
"""The epoch of a streamed view's head: records are seen as they are written, each entity's by itself."""
STREAMED: Final = "streamed"
EPOCH: Final = "_hr_epoch"
GENERATION: Final = "_hr_generation"
_KEYS_AT_ONCE: Final = 20_000
_KAFKA: Final = "kafka:"
_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{1,120}")


@dataclass(frozen=True, slots=True)
class Sinks:
    """What the setting ``stream_sinks`` names; records online are always written.

    Parameters
    ----------
    lake : bool
        Whether steps go into Delta tables.
    topics : str
        The prefix of the topics that steps go to; empty for none.
    """

    lake: bool = False
    topics: str = ""

    @classmethod
    def of(cls, text: str) -> Sinks:
        """Read the setting.

        Examples
        --------
        >>> Sinks.of("online, kafka:city.")
        Sinks(lake=False, topics='city.')

        Raises
        ------
        SettingsError
            If a sink is not known, is named twice or left out, or a topic can't be named so.
        """
        names = [each.strip() for each in text.split(",")]
        prefixes = [name.removeprefix(_KAFKA) for name in names if name.startswith(_KAFKA)]
        plain = [name for name in names if not name.startswith(_KAFKA)]
        if unknown := sorted(set(plain) - {"online", "lake"}):
            raise SettingsError(
                f"stream_sinks = \"{text}\": there is no sink '{unknown[0]}'. There are: online, lake, kafka:PREFIX. "
                'Write "online", or several with commas: "online, lake, kafka:city."'
            )
        if "online" not in plain or len(set(plain)) < len(plain) or len(prefixes) > 1:
            raise SettingsError(
                f'stream_sinks = "{text}": name online, which is always written, and each sink once: '
                '"online, lake, kafka:city."'
            )
        if prefixes and not _PREFIX.fullmatch(prefixes[0]):
            raise SettingsError(
                f"stream_sinks = \"{text}\": no topic's name can begin with '{prefixes[0]}'. After kafka: write "
                "letters, digits, '.', '_' and '-', such as kafka:city."
            )
        return cls("lake" in plain, "".join(prefixes))


@dataclass(frozen=True, slots=True)
class OnlineSink:
    """The records of the views of one source.

    Parameters
    ----------
    store : OnlineStore
        Where they are kept.
    source : str
        The source.
    worker : int
        Which of its workers.
    """

    store: OnlineStore
    source: str
    worker: int = 0

    @property
    def marker(self) -> bytes:
        """Where the store says which epoch it has."""
        return f"s{self.source}/{self.worker}".encode()

    def epoch(self) -> int:
        """The last epoch that the store has whole; 0 if it lost all, or never had any."""
        (value,) = self.store.get_many([self.marker])
        return 0 if value is None else stamp_of(value).epoch

    def write(self, epoch: int, moved: Sequence[Moved], clock_us: int) -> int:
        """Write an epoch's records; returns how many there were.

        Raises
        ------
        FencedError
            If another writer has been there with a newer generation or epoch.
        OnlineStoreError
            If the store can't be written.
        """
        with ThreadPoolExecutor(1) as writing:  # a store is waited for while the next view's records are packed
            puts = [writing.submit(self._put_epoch, each.lane, list(each.items(epoch, clock_us))) for each in moved]
        written = sum(put.result() for put in puts)
        self.mark(epoch)
        return written

    def forget(self) -> None:
        """Let the store say that it has no epoch: a stream begins anew."""
        self.store.delete_many([self.marker])

    def mark(self, epoch: int) -> None:
        """Say that the store has an epoch."""
        self.store.put_many([(self.marker, header(Stamp(0, epoch)))])

    def restore(self, epoch: int, lanes: Sequence[Lane], clock_us: int) -> None:
        """Write the records of all entities again, into a store that lost them."""
        for lane in lanes:
            self._put(lane, everything(lane).items(epoch, clock_us))
        self.mark(epoch)

    def load(self, epoch: int, lane: Lane, clock_us: int) -> None:
        """Write the records of all entities under a new generation; nobody sees them until the head is written."""
        own = read_namespace(self.store, lane.fingerprint)
        seen = None if own is None else own.stamp
        batch: list[tuple[bytes, bytes]] = []
        for item in everything(lane).items(epoch, clock_us):
            batch.append(item)
            if len(batch) == _KEYS_AT_ONCE:
                self._put(lane, self._over(batch, seen))
                batch = []
        self._put(lane, self._over(batch, seen))

    def forget_older(self, lane: Lane) -> None:
        """Delete what earlier generations left of entities that are no more."""
        prefix = record_prefix(lane.fingerprint)
        old = (key for key, value in self.store.scan(prefix) if stamp_of(value).generation < lane.generation)
        self.store.delete_many(old)

    def _put_epoch(self, lane: Lane, items: list[tuple[bytes, bytes]]) -> int:
        self._put(lane, iter(items))
        crash_point("after online records")
        return len(items)

    def _over(self, items: list[tuple[bytes, bytes]], seen: Stamp | None) -> Iterator[tuple[bytes, bytes]]:
        there = self.store.get_many([key for key, _ in items])
        for (key, value), old in zip(items, there, strict=True):
            stamp = stamp_of(value)
            if old is None or seen is None or stamp_of(old) > stamp:
                yield key, value
                continue
            kind, start, end = visible(value, stamp)
            expires = int.from_bytes(value[HEADER_BYTES - 8 : HEADER_BYTES])
            yield key, with_layer(old, seen, stamp, expires, kind, value[start:end])

    def _put(self, lane: Lane, items: Items) -> None:
        if refused := self.store.put_many(items, lasting=True):
            raise FencedError(
                f"{lane.view.place}: {refused} records of {self.store.location} were written by another stream, or "
                f"loaded, under a newer stamp than generation {lane.generation}. Stop this one: a view has one stream."
            )


def show(store: OnlineStore, head: Head) -> None:
    """Let readers see a streamed view.

    Raises
    ------
    FencedError
        If a publication or another stream took the view over.
    """
    try:
        write_head(store, head)
    except OnlineStoreError as error:
        if store.get_many([namespace_key(head.fingerprint)]) is None:
            raise
        raise FencedError(str(error)) from error


@dataclass(frozen=True, slots=True)
class LakeSink:
    """Each step of a view once, in a Delta table; and the rows that the contract refused.

    Parameters
    ----------
    context : Context
        The project.
    source : str
        The source.
    worker : int
        Which of its workers.
    """

    context: Context
    source: str
    worker: int = 0

    def write(self, epoch: int, each: Moved) -> None:
        """Append an epoch's steps; nothing if they are there already."""
        lane = each.lane
        table = self._steps(lane)
        frame = each.steps.with_columns(
            pl.lit(epoch, dtype=pl.Int64).alias(EPOCH),
            pl.lit(lane.generation, dtype=pl.Int64).alias(GENERATION),
            pl.col(TIME).dt.date().alias(DAY_COLUMN),
        )
        until = each.since if lane.carry is None else lane.carry.until
        bounds = {"generation": lane.generation, "since": each.since, "until": until, "least": each.least}
        note = {name: str(value) for name, value in bounds.items()}
        self._append(table, frame, DAY_COLUMN, epoch, lane.generation, note, tells=each.least < each.since)

    def newest(self, lanes: Sequence[Lane]) -> int:
        """The newest epoch that an earlier stream wrote as this worker, of refused rows or lanes; 0 for none."""
        tables = [(self._quarantine, 0)]
        tables += [(self._steps(lane), lane.generation) for lane in lanes]
        versions = (table.transaction_version(self._app(generation)) for table, generation in tables if table.exists())
        return max((version for version in versions if version is not None), default=0)

    def quarantine(self, epoch: int, rejected: pl.DataFrame) -> None:
        """Keep an epoch's refused rows; nothing if they are there already."""
        self._append(self._quarantine, rejected.cast(SCHEMA), BATCH, epoch, 0)

    @property
    def _quarantine(self) -> Table:
        return self.context.lake.table(STREAMED, f"{self.source}-quarantine")

    def _steps(self, lane: Lane) -> Table:
        return self.context.lake.table(STREAMED, lane.view.name, lane.fingerprint)

    def _app(self, generation: int) -> str:
        return f"stream:{self.source}:{self.worker}:{generation}"

    def _append(
        self, table: Table, frame: pl.DataFrame, by: str, epoch: int, generation: int,
        note: Mapping[str, str] | None = None, *, tells: bool = False,
    ) -> None:  # fmt: skip
        """Commit an epoch's rows; without any, only the first epoch of a generation, and what `tells` of itself."""
        app = self._app(generation)
        last = table.transaction_version(app) if table.exists() else None
        begins = note is not None and last is None
        if (frame.is_empty() and not begins and not tells) or (last or 0) >= epoch:
            return
        parts = frame.partition_by(by, as_dict=True, maintain_order=True)
        staged = [table.stage(part, {by: str(value)}) for (value,), part in parts.items()]
        crash_point("before streamed commit")
        made = table.commit(
            staged, schema=frame.schema, mode="append", partition_by=[by],
            metadata={"epoch": str(epoch), "worker": str(self.worker), **(note or {})}, transaction=(app, epoch),
        )  # fmt: skip
        crash_point("after streamed commit")
        if made is None:
            table.discard(staged)
