"""How streams are printed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import typer

from headrace.types import SECOND, duration_text

if TYPE_CHECKING:
    from headrace.streaming.status import PartitionStatus, StreamStatus

_MEGABYTE: Final = 1_000_000
_STAGES: Final = ("read", "decode", "compute", "write", "commit", "total")
_SILENT_SECONDS: Final = 60
_EMPTY: Final = "No stream has run yet. Start one: headrace stream"


def print_stream_status(found: Sequence[StreamStatus], *, partitions: bool = False, now: int | None = None) -> None:
    """Print how streams are: what they do, what they did, and what somebody has to look at.

    Parameters
    ----------
    found : sequence of StreamStatus
        One a worker, as `headrace.platform.stream_status.stream_status` gives them.
    partitions : bool
        Also a line for each partition.
    now : int, optional
        In microseconds UTC; the clock's where it is left out.
    """
    from headrace.cli.output import print_records

    now = time.time_ns() // 1_000 if now is None else now
    print_records([_doing(each, now) for each in found], title="Streams", empty=_EMPTY)
    if not found:
        return
    print_records([_done(each, now) for each in found], title="\nSince they started", empty="")
    print_records(_epochs(found), title="\nTheir last epochs, in milliseconds", empty="No epoch was committed yet.")
    if partitions:
        lines = [_partition(each, part, now) for each in found for part in each.partitions]
        print_records(lines, title="\nPartitions", empty="No worker has a partition yet.")
    for each in found:
        for note in _notes(each, now):
            typer.echo(f"{_name(each)}: {note}")


def _name(status: StreamStatus) -> str:
    """The source, and which worker where there are several."""
    return status.source if status.workers == 1 else f"{status.source} {status.worker + 1}/{status.workers}"


def _doing(status: StreamStatus, now: int) -> dict[str, object]:
    from headrace.platform.stream_status import LIVE

    return {
        "stream": _name(status),
        "condition": status.condition,
        "epoch": status.epoch,
        "events/s": round(status.events_per_second) if status.condition in LIVE else 0,
        "lag": status.lag_offsets,
        "behind": seconds_text(status.lag_seconds),
        "watermark": _ago(status.cut, now),
        "fresh p50": seconds_text(status.freshness_p50_seconds) if status.measures_arrival else None,
        "fresh p99": seconds_text(status.freshness_p99_seconds) if status.measures_arrival else None,
    }


def _done(status: StreamStatus, now: int) -> dict[str, object]:
    return {
        "stream": _name(status),
        "events": status.events,
        "rejected": status.rejected,
        "copies": status.duplicates,
        "late": status.late,
        "state MB": f"{status.state_bytes / _MEGABYTE:,.1f}",
        "saved epoch": status.snapshot_epoch,
        "last heard": _ago(status.at, now),
    }


def _epochs(found: Iterable[StreamStatus]) -> list[dict[str, object]]:
    """A column for each stage that any of them has."""
    measured = [each for each in found if each.epoch_seconds]
    others = sorted({stage for each in measured for stage in each.epoch_seconds} - set(_STAGES))
    stages = [*_STAGES[:-1], *others, _STAGES[-1]]
    return [
        {"stream": _name(each)} | {stage: _milliseconds(each.epoch_seconds.get(stage)) for stage in stages}
        for each in measured
    ]


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1_000:,.1f}"


def _partition(status: StreamStatus, part: PartitionStatus, now: int) -> dict[str, object]:
    return {
        "stream": _name(status),
        "partition": part.partition,
        "position": part.position,
        "head": part.head,
        "lag": part.lag_offsets,
        "behind": seconds_text(part.lag_seconds),
        "watermark": _ago(part.watermark, now),
        "": "idle" if part.is_idle else "",
    }


def _notes(status: StreamStatus, now: int) -> Iterator[str]:
    """What somebody has to look at."""
    from headrace.platform.stream_status import LIVE

    silent = (now - status.at) // SECOND
    if status.why:
        yield f"{status.condition}: {status.why}"
    if status.condition in LIVE and silent >= _SILENT_SECONDS:
        yield f"its {status.place} has not committed an epoch for {duration_text(silent * SECOND)}"
    if not status.measures_arrival:
        yield "its log does not say when it took a record, so freshness is not known"


def seconds_text(seconds: float) -> str:
    """A length of time as people read it: milliseconds below a second, tenths below a minute.

    Examples
    --------
    >>> seconds_text(0.0123), seconds_text(4.56), seconds_text(200), seconds_text(0)
    ('12 ms', '4.6 s', '3m20s', '0 s')
    """
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1_000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration_text(int(seconds) * SECOND)


def _ago(when: int | None, now: int) -> str | None:
    """How long ago a time was; None for a time that is none."""
    if when is None or when <= 0:
        return None
    text = seconds_text(abs(now - when) / SECOND)
    return f"{text} ago" if when <= now else f"{text} ahead"
