"""The processes of a stream's workers: started together, ended together."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import msgspec

from headrace.errors import StreamError
from headrace.platform.stream_status import FAILED, status_folder
from headrace.streaming.status import StreamStatus, read_status

if TYPE_CHECKING:
    from types import TracebackType

    from headrace.definitions.sources import Source
    from headrace.platform.context import Context
    from headrace.platform.stream_pace import Pace
    from headrace.platform.stream_parts import Layout

_LOOK_SECONDS: Final = 0.1
_SHOW_SECONDS: Final = 1.0
_END_SECONDS: Final = 120.0


@dataclass(slots=True)
class Hands:
    """One process for each part of a stream. They run until this is left, or all is read where the pace says so.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        Whose stream it is.
    pace : Pace
        How each runs.
    layout : Layout
        How it is split.
    tell : callable
        Told what people should know.
    """

    context: Context
    source: Source
    pace: Pace
    layout: Layout
    tell: Callable[[str], None]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        """Start them."""
        pace = msgspec.json.encode(self.pace)
        for part in self.layout.parts:
            asked = [str(self.context.root), self.source.name, str(part.number)]
            command = [sys.executable, "-m", "headrace.platform.stream_hand", *asked]
            child = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603
            self._running.append(child)
            assert child.stdin is not None
            with suppress(BrokenPipeError):  # it ended already: `are_running` says so
                child.stdin.write(pace + b"\n")
                child.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them end in good order, and wait for that."""
        for child in self._running:
            if child.stdin is not None:
                with suppress(BrokenPipeError):
                    child.stdin.close()
        deadline = time.monotonic() + _END_SECONDS
        for child in self._running:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if error is None:
            self.are_running()

    def are_running(self) -> bool:
        """Whether one of them runs.

        Raises
        ------
        StreamError
            If one failed, or was killed.
        """
        codes = [child.poll() for child in self._running]
        for number, code in enumerate(codes):
            if code:
                said = self._said().get(number)
                why = said.why if said is not None and said.condition == FAILED else f"it ended with exit code {code}"
                raise StreamError(
                    f"{self.source.where}: worker {number} of {self.layout.workers} failed, so all were ended: {why}"
                )
        return None in codes

    def cut(self) -> int:
        """Through when all of them know; 0 until each has said so once."""
        said = self._said()
        return min((each.cut for each in said.values()), default=0) if len(said) == self.layout.workers else 0

    def rest(self, stop: Callable[[], bool]) -> None:
        """Wait until it is worth looking again."""
        until = time.monotonic() + _SHOW_SECONDS
        while time.monotonic() < until and not stop() and self.are_running():
            time.sleep(_LOOK_SECONDS)

    def _said(self) -> dict[int, StreamStatus]:
        """What each said of itself, if it has since it was started."""
        ids = {child.pid for child in self._running}
        found = read_status(status_folder(self.context, self.source.name))
        return {each.worker: each for each in found if each.pid in ids}
