"""Which metrics of streams there are, and where in a worker's status each is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace.platform.stream_status import CONDITIONS, LIVE
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.streaming.status import PartitionStatus, StreamStatus, ViewStatus

_TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of streams.

    Parameters
    ----------
    name, text : str
        Its name behind ``headrace_stream_``, and what it means. A counter's ends in ``_total``.
    labels : tuple of str
        Beside ``source`` and ``worker``.
    values : callable
        From a worker's status to its values, each with its labels.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    values: Callable[[StreamStatus], Iterable[tuple[Sequence[str], float]]]

    @property
    def kind(self) -> str:
        """What it is to Prometheus: a counter only grows while a worker runs."""
        return "counter" if self.name.endswith("_total") else "summary" if "quantile" in self.labels else "gauge"


def _one(name: str, text: str, value: Callable[[StreamStatus], float]) -> Measure:
    return Measure(name, text, (), lambda status: [((), value(status))])


def _time(name: str, text: str, value: Callable[[StreamStatus], int]) -> Measure:
    """A time in microseconds, told in seconds; none where it is not after 1970."""
    return Measure(name, text, (), lambda status: [((), value(status) / SECOND)] if value(status) > 0 else [])


def _partition(name: str, text: str, value: Callable[[PartitionStatus], float | None]) -> Measure:
    def values(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
        for each in status.partitions:
            if (found := value(each)) is not None:
                yield (each.partition,), found

    return Measure(name, text, ("partition",), values)


def _view(name: str, text: str, value: Callable[[ViewStatus], float]) -> Measure:
    return Measure(name, text, ("view",), lambda status: [((each.view,), value(each)) for each in status.views])


def _conditions(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
    return [((condition,), float(status.condition == condition)) for condition in CONDITIONS]


def _freshness(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
    """Not known where the log does not stamp records as it takes them."""
    if not status.measures_arrival:
        return []
    return [(("0.5",), status.freshness_p50_seconds), (("0.99",), status.freshness_p99_seconds)]


def _stages(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
    return [((stage,), seconds) for stage, seconds in status.epoch_seconds.items() if stage != _TOTAL]


def _duration(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
    return [((), status.epoch_seconds[_TOTAL])] if _TOTAL in status.epoch_seconds else []


def _sinks(status: StreamStatus) -> Iterable[tuple[Sequence[str], float]]:
    return [((sink,), epoch) for sink, epoch in status.sinks.items()]


MEASURES: Final = (
    _one("up", "Whether the worker runs, 1 or 0.", lambda status: status.condition in LIVE),
    Measure("condition", "1 for the condition that the worker is in, 0 for the others.", ("condition",), _conditions),
    _time("start_time_seconds", "When the worker started, in seconds since 1970.", lambda status: status.started_at),
    _time("status_time_seconds", "When the worker last said how it is, in seconds since 1970.", lambda each: each.at),
    _one("events_total", "Records read since the worker started.", lambda status: status.events),
    _one("rejected_total", "Records refused by the contract.", lambda status: status.rejected),
    _one("duplicates_total", "Records left out as copies.", lambda status: status.duplicates),
    _one("late_total", "Records known later than max_lateness; they count all the same.", lambda status: status.late),
    _time("watermark_seconds", "Through when all that is known was read, in seconds since 1970.", lambda its: its.cut),
    Measure("freshness_seconds", "From the log's taking of a record until its effect could be read, of the last epoch.",
            ("quantile",), _freshness),
    _one("state_bytes", "What the worker remembers, in memory.", lambda status: status.state_bytes),
    _one("epoch", "The last epoch that was committed.", lambda status: status.epoch),
    _one("snapshot_epoch", "The last epoch whose state was saved.", lambda status: status.snapshot_epoch),
    Measure("epoch_seconds", "How long the last epoch took, by stage.", ("stage",), _stages),
    Measure("epoch_duration_seconds", "How long the last epoch took.", (), _duration),
    Measure("sink_epoch", "The last epoch that a sink has.", ("sink",), _sinks),
    _partition("lag_offsets", "Offsets of the partition that are still to be read.", lambda each: each.lag_offsets),
    _partition("lag_seconds", "How long ago the log took the newest record that was read; 0 if none is behind it.",
               lambda each: each.lag_seconds),
    _partition("position", "The offset to be read next.", lambda each: each.position),
    _partition("head", "The offset behind the newest record of the log.", lambda each: each.head),
    _partition("idle", "Whether the others do not wait for the partition, 1 or 0.", lambda each: each.is_idle),
    _partition("partition_watermark_seconds", "From when its newest row counts, in seconds since 1970.",
               lambda each: None if each.watermark is None else each.watermark / SECOND),
    _view("records_total", "Records of the view written online since the worker started.", lambda view: view.records),
    _view("steps_total", "Steps of the view handed to other sinks since the worker started.", lambda view: view.steps),
    _view("entities", "Entities of the view that the worker remembers.", lambda view: view.entities),
    _view("view_state_bytes", "What the worker remembers of the view, in memory.", lambda view: view.state_bytes),
    _view("view_generation", "The generation of the view's records online; raised by each load.",
          lambda view: view.generation),
)  # fmt: skip
"""In the order in which they are told."""
