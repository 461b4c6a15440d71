"""How far each worker of a stream has come, once it has written what it speaks of, and whose each entity is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from headrace.platform.stream_splitting import Keyed
from headrace.platform.stream_status import LIVE, STOPPED, stream_status

if TYPE_CHECKING:
    import polars as pl

    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.platform.online_heads import Head
    from headrace.streaming.status import StreamStatus
    from headrace.timeline.arrays import Ints

_PATIENCE_SECONDS: Final = 10.0


class Reached(NamedTuple):
    """How far a worker has come.

    Parameters
    ----------
    cut : int
        Through when all of its steps are written, in microseconds.
    ahead : int
        From when on what it serves tells of all that it has read.
    epoch : int
        Its last epoch.
    """

    cut: int
    ahead: int
    epoch: int


def settled(context: Context, source: str) -> list[StreamStatus]:
    """What the workers say, once each of them has written the epoch that it speaks of, or will not."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = stream_status(context, source)
        writing = [each for each in found if each.condition in LIVE and not _is_written(each)]
        if not writing or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def reached(statuses: Sequence[StreamStatus], head: Head) -> tuple[Reached, ...]:
    """By worker; of one that failed only what readers had been shown."""
    found = [_reached(each, head) for each in statuses]
    return tuple(found) or (Reached(head.frontier, head.frontier, 0),)


def _reached(status: StreamStatus, head: Head) -> Reached:
    is_sure = status.condition in (*LIVE, STOPPED) and _is_written(status)
    return Reached(status.cut if is_sure else head.frontier, max(status.ahead, head.frontier), status.epoch)


def positions(statuses: Sequence[StreamStatus]) -> dict[str, int]:
    """By partition, which offset is read next."""
    found: dict[str, int] = {}
    for each in (part for status in statuses for part in status.partitions):
        found[each.partition] = max(each.position, found.get(each.partition, 0))
    return found


def owners(context: Context, view: FeatureView, workers: int, partitions: int, entities: pl.DataFrame) -> Ints:
    """The number of the worker that writes each entity's record."""
    if workers == 1 or not entities.columns:
        return np.zeros(max(len(entities), 1 - len(entities.columns)), dtype=np.int64)
    keyed = Keyed.of(context, view.source, partitions)
    return np.asarray(keyed.homes(entities[keyed.key_of(view)]) % workers)


def _is_written(status: StreamStatus) -> bool:
    return all(epoch >= status.epoch for epoch in status.sinks.values())
