"""Each step of a streamed view once on a topic of Kafka: the last sink of an epoch, and the one that decides.

The epoch's number is committed in the transaction that shows its messages. So after a crash it is known whether they
are there, and an epoch that is made again is skipped or written, never both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.transactions import Outgoing
from headrace.errors import SettingsError, StateError, StreamError
from headrace.platform.crash_points import crash_point
from headrace.platform.stream_sinks import Sinks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headrace.connectors.kafka_producing import Transactions
    from headrace.platform.context import Context
    from headrace.streaming.lane import Moved

EPOCH_HEADER: Final = "epoch"
GENERATION_HEADER: Final = "generation"
_TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"
_SYSTEM: Final = "_hr_"
_ROWS_AT_ONCE: Final = 50_000


@dataclass(slots=True)
class TopicSink:
    """The topics of the views of one source.

    Parameters
    ----------
    transactions : Transactions
        What writes them.
    prefix : str
        A view's topic is the prefix and its name.
    source : str
        The source.
    """

    transactions: Transactions
    prefix: str
    source: str
    _has: int | None = field(default=None, init=False)
    """The epoch that the topics have; None if that has to be asked, as the last transaction's end is not known."""

    @classmethod
    def of_worker(cls, context: Context, source: str, worker: int) -> TopicSink | None:
        """The sink of a worker, as the setting ``stream_sinks`` has it: None if it names no topics."""
        prefix = Sinks.of(context.settings.stream_sinks).topics
        return cls.of(context, source, prefix, worker) if prefix else None

    @classmethod
    def of(cls, context: Context, source: str, prefix: str, worker: int = 0) -> TopicSink:
        """The sink of a worker. Nothing is connected yet.

        Raises
        ------
        SettingsError
            If it is not said where Kafka is, or an option of it is headrace's own.
        StreamError
            If the library is not installed.
        """
        settings = context.settings
        if not settings.kafka:
            raise SettingsError(
                f"stream_sinks names kafka:{prefix}, but it is not said where Kafka is: set "
                'kafka = "host:9092" in headrace.toml, or HEADRACE_KAFKA.'
            )
        try:
            from headrace.connectors.kafka_producing import Transactions
        except ModuleNotFoundError as error:
            if error.name != "confluent_kafka":
                raise
            raise StreamError(
                f"stream_sinks names kafka:{prefix}, which needs the library confluent-kafka, and that is not "
                "installed: pip install 'headrace[kafka]'."
            ) from error
        name = f"headrace-{settings.name}-{prefix}{source}" + (f"-{worker}" if worker else "")
        marker = f"{prefix}{source}-epochs"
        return cls(Transactions(settings.kafka, name, marker, settings.kafka_options), prefix, source)

    def topic(self, view: str) -> str:
        """Where a view's steps go."""
        return f"{self.prefix}{view}"

    def begin(self, views: Sequence[str], committed: int, planned: int, *, anew: bool) -> None:
        """Make topics that are missing, see that what they have fits the log of epochs, and shut other writers out.

        Parameters
        ----------
        views : sequence of str
            The views that are streamed.
        committed : int
            The last epoch that took effect everywhere; 0 for none.
        planned : int
            The last epoch that may have been begun.
        anew : bool
            Begin anew, whatever the topics have.

        Raises
        ------
        StateError
            If the topics have another epoch than the log.
        AbortedError, StreamError
            If Kafka can't be reached or written.
        """
        self.transactions.mark.make_topics([self.topic(view) for view in views])
        if not anew:  # looked at before others are shut out, and after what they left open has ended
            self._check(self.transactions.mark.read(settled=False), committed, planned)
        self.transactions.open()
        self._has = None if anew else self._check(self.transactions.mark.read(settled=True), committed, planned)
        if self._has is None:
            self._commit(committed, [])

    def write(self, epoch: int, moved: Sequence[Moved]) -> None:
        """Write an epoch's steps; nothing if they are there already.

        Raises
        ------
        AbortedError
            If that can't be done now: call it again.
        FencedError
            If another stream took over.
        StateError
            If the topics have neither this epoch nor the one before.
        """
        if self._has is None:
            self._take_over(epoch)
        self._fit(self._has, epoch)
        if self._has != epoch:
            self._commit(epoch, [self._outgoing(epoch, each) for each in moved if each.steps.height])

    def close(self) -> None:
        """Let go of the brokers."""
        self.transactions.close()

    def _outgoing(self, epoch: int, each: Moved) -> Outgoing:
        headers = ((GENERATION_HEADER, str(each.lane.generation).encode()), (EPOCH_HEADER, str(epoch).encode()))
        return Outgoing(self.topic(each.lane.view.name), messages(each.steps, each.lane.keys), headers)

    def _take_over(self, epoch: int) -> None:
        """Open again, after a transaction failed; not if another stream has gone on meanwhile."""
        self._fit(self.transactions.mark.read(settled=False), epoch)
        self.transactions.open()
        self._has = self.transactions.mark.read(settled=True)

    def _fit(self, has: int | None, epoch: int) -> None:
        if has not in (epoch - 1, epoch):
            raise self._misfit(has, f"{epoch} is to be written")

    def _commit(self, epoch: int, outgoing: Sequence[Outgoing]) -> None:
        self._has = None  # until it is known
        self.transactions.prepare(epoch, outgoing)
        crash_point("before kafka commit")
        self.transactions.commit()
        crash_point("after kafka commit")
        self._has = epoch

    def _check(self, has: int | None, committed: int, planned: int) -> int | None:
        if has is None and planned > committed:
            raise StateError(
                f"{self._place} does not say which epoch it has, and epoch {planned} was begun and not ended: it is "
                f"not known whether its steps are there. Look at the header '{EPOCH_HEADER}' of the last messages. "
                "To go on, run the stream once without kafka in stream_sinks (if they are there), or begin anew: "
                f"headrace stream --source {self.source} --reset"
            )
        if has is not None and not committed <= has <= min(committed + 1, planned):
            raise self._misfit(has, f"the log of epochs here has {committed}")
        return has

    def _misfit(self, has: int | None, wanted: str) -> StateError:
        found = "no epoch" if has is None else f"epoch {has}"
        mark = self.transactions.mark
        return StateError(
            f"{self._place} has {found}, but {wanted}: the stream ran elsewhere, or without kafka in stream_sinks, "
            f"or what it remembers was lost. Begin anew: headrace stream --source {self.source} --reset; or go on with "
            f"a gap in the topics, after kafka-consumer-groups.sh --delete-offsets --group {mark.group} "
            f"--topic {mark.topic}"
        )

    @property
    def _place(self) -> str:
        return f"{self.transactions.location}, consumer group '{self.transactions.mark.group}'"


def messages(steps: pl.DataFrame, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Steps as messages: the entity's keys, and all columns, as JSON objects.

    A time is ISO 8601 in UTC with microseconds, a Decimal is text (every digit is kept), bytes are base64, and what is
    no finite number is null.
    """
    for part in steps.iter_slices(_ROWS_AT_ONCE):
        columns = [name for name in part.columns if not name.startswith(_SYSTEM)]
        plain = part.select(_plain(pl.col(name), part.schema[name]).alias(name) for name in columns)
        values = plain.select(pl.struct(columns).struct.json_encode()).to_series()
        names = plain.select(pl.struct(keys).struct.json_encode()).to_series() if keys else ["{}"] * len(values)
        yield from zip(names, values, strict=True)


def _plain(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        return column.dt.strftime(_TIME_FORMAT)
    if isinstance(dtype, pl.Binary):
        return column.bin.encode("base64")
    if isinstance(dtype, pl.List):
        return column.list.eval(_plain(pl.element(), pl.Series(dtype=dtype.inner).dtype))
    return column.arr.to_list() if isinstance(dtype, pl.Array) else column
