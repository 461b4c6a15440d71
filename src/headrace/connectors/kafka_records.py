"""Messages of Kafka as received records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from headrace.connectors.base import RAW
from headrace.connectors.streams import APPENDED, OFFSET, PARTITION, RECEIVED
from headrace.connectors.texts import texts

_NUMBER: Final = "_number"

Decode = Callable[[Sequence[bytes | None]], list[bytes | None]]
"""Makes JSON of the values of messages; a null stays null."""


@dataclass(slots=True)
class Records:
    """Gathers messages, in the order in which their partitions gave them.

    Parameters
    ----------
    topic : str
        Where they come from.
    decode : callable, optional
        For values that are not JSON.
    """

    topic: str
    decode: Decode | None = None
    _batches: list[pl.DataFrame] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def add(self, messages: Sequence[Message]) -> None:
        """Take messages that are no errors.

        One column at a time: a loop over the messages takes twice as long. Frames at once: the memory of the messages
        is used again while it is still in the processor's cache.
        """
        if not messages:
            return
        values = [message.value() for message in messages]
        columns = {
            RAW: texts(values if self.decode is None else self.decode(values)),
            _NUMBER: pl.Series([message.partition() for message in messages], dtype=pl.UInt32),
            OFFSET: pl.Series([message.offset() for message in messages], dtype=pl.Int64),
            APPENDED: pl.Series(_appended_ms(messages), dtype=pl.Int64),
        }
        self._batches.append(pl.DataFrame(columns))
        self._count += len(messages)

    def frame(self, ends: Mapping[int, int] | None = None) -> pl.DataFrame:
        """What was gathered, in the columns `RECEIVED`, by partition and offset.

        Parameters
        ----------
        ends : mapping of int to int, optional
            For each partition, the position at which to stop.
        """
        if not self._batches:
            return pl.DataFrame(schema=RECEIVED)
        gathered = pl.concat(self._batches)
        numbers = gathered[_NUMBER].to_numpy()
        names = pl.Series([f"{self.topic}/{number}" for number in range(int(numbers.max()) + 1)])
        by_name = np.argsort(names.rank("ordinal").to_numpy()[numbers], kind="stable")  # faster than sorting the frame
        frame = gathered[by_name].filter(pl.col(RAW).is_not_null())
        if ends is not None:
            limit = pl.col(_NUMBER).replace_strict(ends, return_dtype=pl.Int64)
            frame = frame.filter(pl.col(OFFSET) < limit)
        return frame.select(
            RAW,
            names.gather(frame[_NUMBER]).alias(PARTITION),
            OFFSET,
            (pl.col(APPENDED) * 1_000).cast(RECEIVED[APPENDED]),
        )


def _appended_ms(messages: Sequence[Message]) -> list[int | None]:
    """When the log took them, where it says so; their stamps are not kept, as they would be garbage to look through."""
    if {message.timestamp()[0] for message in messages} == {TIMESTAMP_LOG_APPEND_TIME}:
        return [message.timestamp()[1] for message in messages]
    stamps = (message.timestamp() for message in messages)
    return [time_ms if kind == TIMESTAMP_LOG_APPEND_TIME else None for kind, time_ms in stamps]
