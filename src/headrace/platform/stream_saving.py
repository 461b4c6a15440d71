"""Saving what a stream remembers, at once or beside its epochs, and forgetting the log that this makes needless."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.errors import LakeError
from headrace.platform import stream_states
from headrace.platform.crash_points import crash_point

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.platform.stream_states import State
    from headrace.platform.stream_tally import Tally
    from headrace.streaming.epochs import EpochLog


@dataclass(slots=True)
class Saver:
    """The snapshots of a worker, each of an epoch that took effect everywhere.

    Parameters
    ----------
    folder : Path
        Where they are.
    log : EpochLog
        Of the epochs.
    tally : Tally
        Told which epoch was saved last.
    tell : callable
        Told what people should know.
    """

    folder: Path
    log: EpochLog
    tally: Tally
    tell: Callable[[str], None]
    saved_at: float = field(default_factory=time.monotonic, init=False)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), init=False)
    _saving: Future[None] | None = field(default=None, init=False)

    def save(self, state: State, *, anew: bool = False) -> None:
        """Save a state, and forget the log before the oldest snapshot that is kept.

        Parameters
        ----------
        state : State
            What is remembered.
        anew : bool
            As of `headrace.platform.stream_states.save`.

        Raises
        ------
        LakeError
            If it can't be written.
        """
        self._wait()
        self._write(state, anew=anew)

    def save_beside(self, state: State) -> None:
        """Save a state while epochs go on, or say that it can't be; nothing if the last time is still going on."""
        if self._saving is None or self._saving.done():
            self._wait()
            self.saved_at = time.monotonic()
            self._saving = self._thread.submit(self._write_if_there_is_room, state)

    def close(self) -> None:
        """Wait until nothing is being saved."""
        self._thread.shutdown()

    def _wait(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def _write(self, state: State, *, anew: bool = False) -> None:
        stream_states.save(self.folder, state, anew=anew)
        crash_point("after snapshot")
        self.log.forget(stream_states.oldest_epoch(self.folder) + 1)
        self.tally.snapshot_epoch = state.epoch

    def _write_if_there_is_room(self, state: State) -> None:
        """What can't be saved now the log keeps: it is read again after a crash."""
        try:
            self._write(state)
        except LakeError as error:
            self.tell(f"{error} Meanwhile it goes on without a snapshot of epoch {state.epoch:,}, and tries again.")
