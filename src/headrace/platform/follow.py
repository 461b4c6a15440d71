"""Following: what a source's stream brings, to bronze and silver as it comes, each record once.

Bronze is the authority: the commit that adds records says how far each partition has been read. A run that is killed
at any moment is completed by the next one, with the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.connectors.stream_opening import open_stream
from headrace.connectors.streams import APPENDED
from headrace.definitions.locations import Kafka, Location
from headrace.definitions.sources import SnapshotSource, Source
from headrace.errors import SourceError
from headrace.platform.ingest import SourceReport, report_of
from headrace.platform.intake import Intake
from headrace.platform.refining import Counts
from headrace.platform.stream_landing import Head, Taken
from headrace.platform.tail import EPOCH_SECONDS, MOST_ROWS, Pace, Tail
from headrace.platform.turns import follower_turn

if TYPE_CHECKING:
    from headrace.connectors.streams import Stream
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch that is in silver.

    Attributes
    ----------
    source : str
        Its source.
    number : int
        Its number, from 1.
    rows, behind : int
        How many records it had, and how many offsets (bytes, of files) were still to be read.
    seconds : float
        How long it took, from when its records were read.
    """

    source: str
    number: int
    rows: int
    behind: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people should know.

    Attributes
    ----------
    source, text : str
        Whose, and what.
    """

    source: str
    text: str


Listener = Callable[[EpochDone | Notice], None]


@dataclass(frozen=True, slots=True)
class FollowReport:
    """What following a source did.

    Attributes
    ----------
    ingested : SourceReport
        What became of the rows; a batch is an epoch.
    positions : mapping of str to int
        By partition, where the next run goes on.
    notices : tuple of str
        What was said on the way.
    """

    ingested: SourceReport
    positions: Mapping[str, int]
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Told:
    """Passes on what is said, and keeps it."""

    source: str
    progress: Listener
    texts: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> None:
        self.texts.append(text)
        self.progress(Notice(self.source, text))

    def once(self, text: str) -> None:
        if text not in self.texts:
            self(text)


def follow(
    context: Context,
    source_name: str,
    *,
    until_idle: bool = False,
    reset: bool = False,
    epoch_seconds: float = EPOCH_SECONDS,
    most_rows: int = MOST_ROWS,
    stop: Callable[[], bool] = lambda: False,
    progress: Listener = lambda _: None,
) -> FollowReport:
    """Take what a source's stream brings to silver, until told to stop.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str
        The source.
    until_idle : bool
        Stop once all that was there at the start is in silver, and do not wait for a log that is out of reach.
    reset : bool
        Go on with the oldest record that is kept in each partition whose next one is gone.
    epoch_seconds : float
        How long to gather records for one commit, where there are no more waiting.
    most_rows : int
        How many records a commit has at most.
    stop : callable
        Asked often whether to stop; the epoch at hand is finished first.
    progress : callable
        Called with each epoch, and with what people should know.

    Returns
    -------
    FollowReport

    Raises
    ------
    SourceError
        If the source has no stream that can be followed, or its rows can't be refined (see
        `headrace.platform.ingest`); they are taken up again by the next run.
    AgedOutError, StreamError
        If records are gone that were not read, or the log can't be read.
    NotAppliedError
        If the source was defined otherwise when silver was written: says how to rebuild it.
    ConflictError
        If another process follows the source.
    """
    source, location = _followed(context, source_name)
    tell, counts, epochs = _Told(source.name, progress), Counts(), 0
    pace = Pace(until_idle, reset, epoch_seconds, most_rows, stop, tell)
    intake = Intake(context, source, counts, pace)
    settings = context.settings
    stream = open_stream(source, context.root, settings.kafka, settings.kafka_options, settings.schema_registry)
    with follower_turn(context.lake, source.name), closing(stream):
        head = intake.head() or Head()
        for taken in Tail(stream, location, pace).epochs(head.positions):
            began = time.monotonic()
            _tell_of_arrival(source, stream, taken, tell)
            landed = intake.take(head, taken)
            if landed is None:
                break
            head, epochs = landed, epochs + 1
            seconds = time.monotonic() - began
            progress(EpochDone(source.name, head.epoch, taken.frame.height, taken.behind, seconds))
    return FollowReport(report_of(source, counts, files=0, batches=epochs), head.positions, tuple(tell.texts))


def _followed(context: Context, name: str) -> tuple[Source, Location]:
    source = context.definitions.source(name)
    if source.stream is None:
        raise SourceError(
            f"{source.where} has no stream to follow: give it stream=hr.Kafka('{name}'), or "
            f"stream=hr.Files('in/{name}/*.jsonl') for files that grow."
        )
    if isinstance(source, SnapshotSource):
        raise SourceError(
            f"{source.where} can't be followed: each of its files is the truth of its day. Ingest them as files, or "
            "define it as a ChangeSource of change envelopes."
        )
    return source, source.stream


def _tell_of_arrival(source: Source, stream: Stream, taken: Taken, tell: _Told) -> None:
    """Say it where the log could measure when rows were known, and does not. Envelopes have a time of their own."""
    if not isinstance(source.stream, Kafka) or source.available_time is not None:
        return
    if taken.frame[APPENDED].null_count():
        tell.once(
            f"{stream.location} does not stamp records as it takes them, and {source.where} has no available_time. So "
            "it is not known when they could be known: they count from when they happened, however late they came. "
            "Set message.timestamp.type=LogAppendTime on the topic, or name the column that says it."
        )
