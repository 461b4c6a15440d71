"""What a running stream says of itself after each epoch: one document a worker, which others read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

NAME: Final = "status"


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How far a partition has been read.

    Parameters
    ----------
    partition : str
        Its name.
    position, head : int
        The offset to be read next, and the one behind the newest record.
    lag_seconds : float
        How long ago the log took the newest record that was read, if there are others behind it; else 0.
    watermark : int or None
        The newest time from which a row of the partition counts, in microseconds; None before its first row.
    is_idle : bool
        Whether nothing came for so long that the others do not wait for it.
    """

    partition: str
    position: int
    head: int
    lag_seconds: float = 0.0
    watermark: int | None = None
    is_idle: bool = False

    @property
    def lag_offsets(self) -> int:
        """How many offsets are still to be read."""
        return max(0, self.head - self.position)


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """What a stream has done for a view.

    Parameters
    ----------
    view, fingerprint : str
        The view and its definition.
    generation : int
        Of its records online; raised by each load.
    entities : int
        How many the stream remembers.
    state_bytes : int
        What it remembers of them, in memory.
    records, steps : int
        Records written online, and steps handed to other sinks, since it started.
    loaded_publication : int
        The number of the publication that its state was loaded from; 0 if it began with the stream.
    """

    view: str
    fingerprint: str
    generation: int
    entities: int = 0
    state_bytes: int = 0
    records: int = 0
    steps: int = 0
    loaded_publication: int = 0


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What one worker of a stream says of itself. Times are microseconds UTC, counts are since it started.

    Parameters
    ----------
    source, location : str
        The source, and where its stream is.
    worker, workers : int
        Which of how many.
    pid : int
        Its process.
    started_at, at : int
        When it started, and when it wrote this.
    condition : str
        ``catching up``, ``running``, ``stopped`` or ``failed``.
    why : str
        Why it stopped or failed, or what it waits for; else empty.
    epoch : int
        The last one that was committed.
    cut : int
        Through when all that is known has been read: the watermark.
    ahead : int
        From when on what is served tells of every row that was read: the cut, or where steps are not written, as far as
        the partition that has come furthest.
    events, rejected, duplicates, late : int
        Records read; refused by the contract; left out as copies; known later than ``max_lateness``.
    events_per_second : float
        Over the last ten seconds or so.
    freshness_p50_seconds, freshness_p99_seconds : float
        From the time at which the log took a record until its effect could be read, of the last epoch.
    epoch_seconds : mapping of str to float
        Of the last epoch, by stage: read, decode, compute, write, commit; ``total``.
    state_bytes : int
        All that is remembered, in memory.
    snapshot_epoch : int
        The last epoch whose state was saved.
    measures_arrival : bool
        Whether the log stamps records as it takes them.
    partitions : tuple of PartitionStatus
        One each.
    views : tuple of ViewStatus
        One each.
    sinks : mapping of str to int
        For each sink the last epoch that it has.
    process : str
        What tells its process from those of other machines and containers: ``host:pid:start``.
    """

    source: str
    location: str
    worker: int
    workers: int
    pid: int
    started_at: int
    at: int
    condition: str
    why: str = ""
    epoch: int = 0
    cut: int = 0
    ahead: int = 0
    events: int = 0
    rejected: int = 0
    duplicates: int = 0
    late: int = 0
    events_per_second: float = 0.0
    freshness_p50_seconds: float = 0.0
    freshness_p99_seconds: float = 0.0
    epoch_seconds: dict[str, float] = field(default_factory=dict)
    state_bytes: int = 0
    snapshot_epoch: int = 0
    measures_arrival: bool = True
    partitions: tuple[PartitionStatus, ...] = ()
    views: tuple[ViewStatus, ...] = ()
    sinks: dict[str, int] = field(default_factory=dict)
    process: str = ""

    @property
    def place(self) -> str:
        """Its process, and the host that this runs on, for people."""
        host = self.process.partition(":")[0]
        return f"process {self.pid} on {host}" if host else f"process {self.pid}"

    @property
    def lag_offsets(self) -> int:
        """How many offsets are still to be read, of all partitions."""
        return sum(each.lag_offsets for each in self.partitions)

    @property
    def lag_seconds(self) -> float:
        """How far the partition that is furthest behind is behind."""
        return max((each.lag_seconds for each in self.partitions), default=0.0)

    def plain(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document | {"lag_offsets": self.lag_offsets, "lag_seconds": self.lag_seconds, "place": self.place}


def write_status(folder: Path, status: StreamStatus) -> None:
    """Put a worker's status in place of its last one, whole."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{NAME}-{status.worker}.json"
    part = target.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(status))
    os.replace(part, target)  # noqa: PTH105 - as Path.replace, which says less of what it is for


def read_status(folder: Path) -> list[StreamStatus]:
    """What the workers of a stream last said, by worker; empty where it never ran."""
    found = sorted(folder.glob(f"{NAME}-*.json"))
    return sorted((msgspec.json.decode(path.read_bytes(), type=StreamStatus) for path in found), key=_worker)


def _worker(status: StreamStatus) -> int:
    return status.worker
