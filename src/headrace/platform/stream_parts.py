"""What several workers of a stream remember, on disk: each part in a folder of its own, and how many there are.

The layout says so, and its presence decides: with it the parts are what counts, without it the whole. It is written
after all parts are, and removed after the whole is, so that a crash in between costs nothing.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from headrace.errors import ConflictError, StateError
from headrace.lake.durable import sync_folder, write_file
from headrace.platform import stream_states
from headrace.platform.crash_points import crash_point
from headrace.platform.silver import identity
from headrace.platform.stream_loading import empty_lanes
from headrace.platform.stream_pace import WHOLE, Part
from headrace.platform.stream_sinks import OnlineSink
from headrace.platform.stream_splitting import Keyed, merged, split
from headrace.platform.stream_status import status_folder
from headrace.platform.stream_topics import TopicSink
from headrace.platform.stream_worker import part_folder
from headrace.streaming.epochs import EpochLog
from headrace.streaming.identities import Identities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headrace.definitions.sources import Source
    from headrace.platform.context import Context
    from headrace.platform.stream_states import State
    from headrace.streaming.lane import Lane

_NAME: Final = "layout.json"
_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2


class Layout(msgspec.Struct, frozen=True):
    """How a stream is split.

    Parameters
    ----------
    workers : int
        Among how many.
    partitions : int
        How many the topic had.
    key, partitioner : str
        By what, as of `Keyed`.
    """

    workers: int
    partitions: int
    key: str
    partitioner: str

    @property
    def parts(self) -> list[Part]:
        """Each worker's part."""
        return [Part(number, self.workers) for number in range(self.workers)]

    def keyed(self, source: Source) -> Keyed:
        """By what it was split."""
        return Keyed(source, self.key, self.partitioner, self.partitions)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the stream of a source.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        The source.
    """

    context: Context
    source: Source

    @property
    def folder(self) -> Path:
        """Where all that the stream remembers is."""
        return status_folder(self.context, self.source.name)

    def layout(self) -> Layout | None:
        """How it is split; None if it is whole.

        Raises
        ------
        StateError
            If that can't be read.
        """
        path = self.folder / "parts" / _NAME
        try:
            return msgspec.json.decode(path.read_bytes(), type=Layout)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise StateError(
                f"{path} is damaged ({error}): how the stream is split is not known. Begin anew: headrace stream "
                f"--source {self.source.name} --reset"
            ) from error

    def state(self, part: Part) -> State:
        """The newest state of a part that can be read.

        Raises
        ------
        StateError
            If there is none.
        """
        ids = Identities(identity(self.source), self.source.dedupe_within_us)
        folder = part_folder(self.folder, part) / "snapshots"
        found, _ = stream_states.newest(folder, ids, empty_lanes(self.context, self.source))
        if found is None:
            raise StateError(f"{folder}: nothing there can be read. Begin anew: headrace stream --reset")
        return found

    def instants(self, part: Part) -> tuple[int, int]:
        """The cut of a part's newest snapshot, and the furthest instant that a view has reached in it."""
        return stream_states.noted_instants(part_folder(self.folder, part) / "snapshots")

    def noted_lanes(self, layout: Layout) -> list[Lane]:
        """A lane a view as the parts have it, without what is remembered of entities."""
        folder = part_folder(self.folder, layout.parts[0]) / "snapshots"
        return stream_states.noted_lanes(folder, empty_lanes(self.context, self.source))

    def spread(self, keyed: Keyed, workers: int) -> Layout:
        """Split the whole among workers."""
        shutil.rmtree(self.folder / "parts", ignore_errors=True)  # what a crash left
        layout = Layout(workers, keyed.partitions, keyed.column, keyed.partitioner)
        for part, state in zip(layout.parts, split(self.state(WHOLE), keyed, workers), strict=True):
            self._put(part, state)
        crash_point("before layout")
        write_file(self.folder / "parts" / _NAME, msgspec.json.encode(layout))
        crash_point("after layout")
        return layout

    def gather(self, layout: Layout) -> None:
        """Make a whole of parts that have all reached one instant."""
        shutil.rmtree(self.folder / "snapshots", ignore_errors=True)
        EpochLog(self.folder).path.unlink(missing_ok=True)
        self._put(WHOLE, merged([self.state(part) for part in layout.parts]))
        crash_point("before parts are one")
        (self.folder / "parts" / _NAME).unlink()
        sync_folder(self.folder / "parts")
        shutil.rmtree(self.folder / "parts")

    def _put(self, part: Part, state: State) -> None:
        """Let a part begin with a state, in its folder and in what sinks say of it."""
        folder = part_folder(self.folder, part)
        stream_states.save(folder / "snapshots", state)
        log = EpochLog(folder)
        log.commit(state.epoch)
        log.close()
        OnlineSink(self.context.online, self.source.name, part.writer).mark(state.epoch)
        topics = TopicSink.of_worker(self.context, self.source.name, part.writer)
        if topics is not None:
            names = [lane.view.name for lane in state.lanes]
            with closing(topics):
                topics.begin(names, state.epoch, state.epoch, anew=True)


@contextmanager
def alone(context: Context, source_name: str, part: Part) -> Iterator[None]:
    """Hold a part; wait for a worker whose starter was killed: it ends as soon as it notices.

    Raises
    ------
    ConflictError
        If it does not end.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(context.lake.lock(f"stream-{source_name}-{part.number}"))
                break
            except ConflictError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
        yield
