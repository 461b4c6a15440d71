"""Whether a stream can be split among workers, and what it remembers as parts of the partitions and as a whole.

Each worker reads some partitions, so each entity must have all its rows in one. Nothing is shuffled: a view of other
entities takes one worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.streams import PARTITION
from headrace.definitions.locations import Kafka
from headrace.errors import DefinitionError, StateError, StreamError
from headrace.platform.stream_loading import streamed_views
from headrace.platform.stream_pace import MisplacedError, Part
from headrace.platform.stream_states import State
from headrace.streaming.identities import Identities
from headrace.streaming.lane import Lane
from headrace.streaming.partitioners import partitions_of
from headrace.timeline.arrays import Ints
from headrace.timeline.watermarks import Watermarks

if TYPE_CHECKING:
    from headrace.connectors.streams import Bounds, Range, Received, Stream
    from headrace.definitions.sources import Source
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context

_KEY_TYPES: Final = ("String", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")


@dataclass(frozen=True, slots=True)
class Keyed:
    """By what a topic is keyed, and how keys get into its partitions.

    Parameters
    ----------
    source : Source
        Whose stream it is.
    column : str
        The column.
    partitioner : str
        See `headrace.streaming.partitioners`.
    partitions : int
        How many the topic has.
    """

    source: Source
    column: str
    partitioner: str
    partitions: int

    @classmethod
    def of(cls, context: Context, source: Source, partitions: int) -> Keyed:
        """What a source says of its topic.

        Raises
        ------
        DefinitionError
            If several workers can't share it: says why, and what to do.
        """
        stream = source.stream
        if not isinstance(stream, Kafka) or not stream.key:
            raise DefinitionError(
                f"{source.where}: several workers need a topic of events that is keyed by a column, and it is not said "
                'that this one is. Say so, stream=hr.Kafka("…", key="driver_id"), or use one worker.'
            )
        if stream.key in source.personal:
            raise DefinitionError(
                f"{source.where}: the topic's key '{stream.key}' is masked, so what is remembered of it does not tell "
                "its partition. Use one worker."
            )
        if str(source.schema[stream.key]) not in _KEY_TYPES:
            raise DefinitionError(
                f"{source.where}: the topic's key '{stream.key}' is {source.schema[stream.key]}; several workers need "
                "text or a whole number. Use one worker."
            )
        for view in streamed_views(context, source):
            _check_view(view, stream.key)
        return cls(source, stream.key, stream.partitioner, partitions)

    def key_of(self, view: FeatureView) -> str:
        """Which key of a view's entity the topic is keyed by."""
        return next(key for key, column in view.key_columns.items() if column == self.column)

    def homes(self, keys: pl.Series) -> Ints:
        """The number of each key's partition."""
        return partitions_of(keys, self.partitioner, self.partitions)

    def check(self, rows: pl.DataFrame) -> None:
        """See that rows are where their keys belong.

        Raises
        ------
        MisplacedError
            If one is not: what other workers know of its entity would be missed.
        """
        if rows.is_empty():
            return
        found = rows.select(self.column, PARTITION).drop_nulls().unique()
        numbers = found[PARTITION].str.extract(r"(\d+)$").cast(pl.Int64)
        wrong = found.filter(pl.Series(numbers.to_numpy() != self.homes(found[self.column])))
        if wrong.height:
            key, partition = wrong.row(0)
            raise MisplacedError(
                f"{self.source.where}: {self.column} {key!r} came in partition {partition}, and {self.partitioner} "
                f"puts it into another of {self.partitions}. Declare the key and the partitioner that producers use, "
                "hr.Kafka(…, key=…, partitioner=…); after partitions were added read what is older by one worker "
                "(headrace stream --until-idle). Nothing of this epoch was written."
            )


def _check_view(view: FeatureView, column: str) -> None:
    if view.transform is not None:
        raise DefinitionError(
            f"{view.place}: its transform may change '{column}', the key of the topic, so several workers can't share "
            "it. Use one worker."
        )
    if column not in view.key_columns.values():
        keys = ", ".join(view.entity_keys) or "none, it is one for all"
        raise DefinitionError(
            f"{view.place}: its entity's keys ({keys}) are not the key of the topic, '{column}': rows of one entity "
            "are in several partitions, and workers do not exchange any. Stream it by one worker; or give it a source "
            "of its own, whose topic is keyed by its entity."
        )


@dataclass(frozen=True, slots=True)
class PartStream:
    """The partitions of a topic that are one worker's: each number modulo their count is one worker's.

    Parameters
    ----------
    whole : Stream
        The topic.
    part : Part
        Which worker.
    partitions : int
        How many the topic had when its keys were split.
    may_grow : bool
        Whether more of them are none of its business, instead of an error.
    """

    whole: Stream
    part: Part
    partitions: int
    may_grow: bool = False

    @property
    def location(self) -> str:
        """See `Stream.location`."""
        return self.whole.location

    @property
    def measures_arrival(self) -> bool:
        """See `Stream.measures_arrival`."""
        return self.whole.measures_arrival

    def bounds(self) -> dict[str, Bounds]:
        """What can be read of its partitions.

        Raises
        ------
        StreamError
            If the topic has other partitions than when it was split.
        """
        found = self.whole.bounds()
        if self.may_grow:
            found = {name: found[name] for name in sorted(found, key=_number)[: self.partitions]}
        if len(found) != self.partitions:
            raise StreamError(
                f"{self.location} has {len(found)} partitions, and had {self.partitions} when it was split among "
                "workers: keys have moved. Read what is there by one worker, headrace stream --until-idle, then start "
                "several again."
            )
        return {name: bounds for name, bounds in found.items() if is_of(name, self.part)}

    def poll(self, positions: Mapping[str, int], most_rows: int, wait_seconds: float) -> Received:
        """See `Stream.poll`."""
        return self.whole.poll(positions, most_rows, wait_seconds)

    def read(self, ranges: Mapping[str, Range]) -> Received:
        """See `Stream.read`."""
        return self.whole.read(ranges)

    def position_at(self, partition: str, time_us: int) -> int:
        """See `Stream.position_at`."""
        return self.whole.position_at(partition, time_us)

    def close(self) -> None:
        """See `Stream.close`."""
        self.whole.close()


def is_of(partition: str, part: Part) -> bool:
    """Whether a partition of a topic is a part's.

    Examples
    --------
    >>> is_of("gps/5", Part(1, 4)), is_of("gps/5", Part(1, 3))
    (True, False)
    """
    return _number(partition) % part.count == part.number


def _number(partition: str) -> int:
    return int(partition.rpartition("/")[2])


def split(state: State, keyed: Keyed, count: int) -> list[State]:
    """What each of some workers is to remember of the whole.

    All remember which rows came lately: what is not theirs never comes again there, and is forgotten in time.
    """
    parts = [Part(number, count) for number in range(count)]
    lanes = [_split_lane(lane, keyed, count) for lane in state.lanes]
    return [
        replace(
            state, positions=_mine(state.positions, part), lanes=tuple(own[part.number] for own in lanes),
            marks=replace(
                state.marks, reached=_mine(state.marks.reached, part), active_at=_mine(state.marks.active_at, part)
            ),
        )
        for part in parts
    ]  # fmt: skip


def merged(states: Sequence[State]) -> State:
    """What workers that have all reached one instant remember together.

    Raises
    ------
    StateError
        If they do not fit one another.
    """
    first = states[0]
    names = [[(lane.view.name, lane.fingerprint, lane.generation) for lane in state.lanes] for state in states]
    if any(state.marks.cut != first.marks.cut for state in states) or any(each != names[0] for each in names):
        raise StateError("what the workers of a stream remember does not fit together: begin anew with --reset.")
    positions, reached, active_at = (
        {name: value for each in found for name, value in each.items()}
        for found in (
            [state.positions for state in states], [state.marks.reached for state in states],
            [state.marks.active_at for state in states],
        )
    )  # fmt: skip
    seen = _concatenated([state.identities.seen for state in states])
    ids = Identities(
        first.identities.columns, first.identities.within_us, None if seen is None else seen.unique(maintain_order=True)
    )
    lanes = tuple(_merged_lane([state.lanes[i] for state in states]) for i in range(len(first.lanes)))
    marks = Watermarks(reached, active_at, first.marks.cut)
    return State(max(state.epoch for state in states), positions, marks, ids, lanes, first.meaning)


def _mine(by_partition: Mapping[str, int], part: Part) -> dict[str, int]:
    return {name: value for name, value in by_partition.items() if is_of(name, part)}


def _split_lane(lane: Lane, keyed: Keyed, count: int) -> list[Lane]:
    key, note = keyed.key_of(lane.view), lane.note()
    frames = {name: _split_frame(frame, key, keyed, count) for name, frame in lane.frames().items()}
    return [lane.restored({name: parts[i] for name, parts in frames.items()}, note) for i in range(count)]


def _split_frame(frame: pl.DataFrame, key: str, keyed: Keyed, count: int) -> list[pl.DataFrame]:
    column = key if key in frame.columns else f"_hr_key_{key}"
    owner = keyed.homes(frame[column]) % count
    return [frame.filter(pl.Series(owner == number)) for number in range(count)]


def _merged_lane(lanes: Sequence[Lane]) -> Lane:
    """The lanes of a view as one: they are of the same instant."""
    instants = {lane.carry.until for lane in lanes if lane.carry is not None}
    if len(instants) > 1:
        raise StateError(
            f"{lanes[0].view.place}: its workers have reached different instants ({sorted(instants)}): begin anew with "
            "--reset."
        )
    frames = [lane.frames() for lane in lanes]
    names = dict.fromkeys(name for each in frames for name in each)
    together = {name: _concatenated([each.get(name) for each in frames]) for name in names}
    notes = [lane.note() for lane in lanes]
    note = max(notes, key=lambda each: each.get("next_row_id", -1))
    return lanes[0].restored({name: frame for name, frame in together.items() if frame is not None}, note)


def _concatenated(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame | None:
    found = [frame for frame in frames if frame is not None]
    return pl.concat(found, how="vertical_relaxed") if found else None
