"""Counting what a stream does, for its status."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from headrace.connectors.streams import APPENDED
from headrace.platform.processes import this_process
from headrace.platform.stream_pace import WHOLE, Part
from headrace.streaming.status import PartitionStatus, StreamStatus, ViewStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headrace.connectors.streams import Bounds
    from headrace.platform.stream_states import State
    from headrace.streaming.lane import Lane

_RATE_SECONDS: Final = 10.0
_SECOND_US: Final = 1_000_000
_BEHIND_SECONDS: Final = 10
_COUNT_SECONDS: Final = 5.0
"""So often entities are counted: each time all that is remembered is looked through."""


@dataclass(slots=True)
class Tally:
    """Counts since the stream started.

    Parameters
    ----------
    source, location : str
        The source, and where its stream is.
    measures_arrival : bool
        Whether the log stamps records.
    started_at : int
        In microseconds UTC.
    part : Part
        Which worker counts.
    """

    source: str
    location: str
    measures_arrival: bool
    started_at: int
    part: Part = WHOLE
    events: int = 0
    rejected: int = 0
    duplicates: int = 0
    late: int = 0
    records: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    freshness: tuple[float, float] = (0.0, 0.0)
    snapshot_epoch: int = 0
    last_appended: dict[str, int] = field(default_factory=dict)
    _recent: deque[tuple[float, int]] = field(default_factory=deque)
    _entities: dict[str, int] = field(default_factory=dict)
    _counted_at: float = 0.0

    def stage(self, name: str, began: float) -> float:
        """Note how long a stage of the epoch took; returns now, on the same clock."""
        now = time.perf_counter()
        self.seconds[name] = round(now - began, 4)
        return now

    def read(self, received: pl.DataFrame, now: float) -> None:
        """Count records that were read."""
        self.events += received.height
        self._recent.append((now, received.height))
        while self._recent and now - self._recent[0][0] > _RATE_SECONDS:
            self._recent.popleft()

    def served(self, received: pl.DataFrame, read_at: int, now_us: int) -> None:
        """Note how old records were when their effect could be read."""
        taken = received[APPENDED].dt.epoch("us").fill_null(read_at).to_numpy()
        if len(taken):
            p50, p99 = np.percentile(now_us - taken, [50, 99]) / _SECOND_US
            self.freshness = round(float(p50), 4), round(float(p99), 4)

    def events_per_second(self, now: float) -> float:
        """Over the last ten seconds or so."""
        if not self._recent:
            return 0.0
        length = max(now - self._recent[0][0], 1.0)
        return round(sum(rows for _, rows in self._recent) / length, 1)

    def status(
        self,
        state: State,
        bounds: Mapping[str, Bounds],
        condition: str,
        why: str,
        sinks: Mapping[str, int],
        now_us: int,
    ) -> StreamStatus:
        """What the stream says of itself now."""
        lag = sum(max(0, found.head - state.positions.get(name, found.earliest)) for name, found in bounds.items())
        rate = self.events_per_second(time.monotonic())
        is_behind = condition == "running" and lag > _BEHIND_SECONDS * max(1.0, rate)
        shown = "catching up" if is_behind else condition
        return StreamStatus(
            self.source, self.location, self.part.number, self.part.count, os.getpid(), self.started_at, now_us,
            shown, why, state.epoch, state.marks.cut, state.ahead, self.events, self.rejected, self.duplicates,
            self.late, rate, *self.freshness, dict(self.seconds), state.state_bytes,
            self.snapshot_epoch, self.measures_arrival, tuple(self._partitions(state, bounds, now_us)),
            tuple(self._views(state, anew=condition != "running")), dict(sinks), this_process(),
        )  # fmt: skip

    def _partitions(self, state: State, bounds: Mapping[str, Bounds], now_us: int) -> Iterator[PartitionStatus]:
        idle = state.marks.idle(set(bounds), now_us, 10 * _SECOND_US)
        for name, found in sorted(bounds.items()):
            position = state.positions.get(name, found.earliest)
            taken = self.last_appended.get(name, now_us)
            behind = max(0.0, (now_us - taken) / _SECOND_US) if found.head > position else 0.0
            yield PartitionStatus(name, position, found.head, behind, state.marks.reached.get(name), name in idle)

    def _views(self, state: State, *, anew: bool) -> Iterator[ViewStatus]:
        now = time.monotonic()
        if anew or now - self._counted_at > _COUNT_SECONDS or len(self._entities) < len(state.lanes):
            self._counted_at, self._entities = now, {lane.view.name: _entities(lane) for lane in state.lanes}
        for lane in state.lanes:
            name = lane.view.name
            yield ViewStatus(
                name, lane.fingerprint, lane.generation, self._entities.get(name, 0), lane.state_bytes,
                self.records[name], self.steps[name], lane.publication,
            )  # fmt: skip


def _entities(lane: Lane) -> int:
    if lane.written is None:
        return 0
    return lane.written.select(lane.keys).n_unique() if lane.keys else 1
