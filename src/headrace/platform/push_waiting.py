"""Waiting until the stream has moved the served values past what was written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from headrace.errors import OnlineStoreError, StreamError
from headrace.platform.stream_sinks import OnlineSink
from headrace.platform.stream_status import LIVE, stream_status

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.push_report import PushReport
    from headrace.streaming.status import StreamStatus

LOOK_SECONDS: Final = 0.02
NOT_YET: Final = "the stream has not come that far yet"


@dataclass(slots=True)
class Waiting:
    """Looks whether a push can be read.

    The stream says after each epoch how far it has *read*, and the online store which epoch it *has*: rows can be read
    once the store has an epoch as great as the first one that was seen with their positions.

    Parameters
    ----------
    context : Context
        The project.
    source : str
        The source.
    positions : mapping of str to int
        By partition, the position behind the rows.
    """

    context: Context
    source: str
    positions: Mapping[str, int]
    _epochs: dict[int, int] = field(default_factory=dict, init=False)
    """By writer, the epoch that the store must have."""
    _left: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """No partition has been read that far, as far as is known."""
        self._left = set(self.positions)

    def look(self) -> tuple[bool, str]:
        """Whether the rows can be read; and else why not, which is empty as long as waiting may help."""
        try:
            if self._left:
                found = stream_status(self.context, self.source)
                self._note(found)
                if self._left and (why := self._hopeless(found)):
                    return False, why
            has_all = not self._left and all(self._has(writer) >= epoch for writer, epoch in self._epochs.items())
        except (OnlineStoreError, StreamError) as error:
            return False, str(error)
        return has_all, ""

    def _note(self, found: Sequence[StreamStatus]) -> None:
        for status in found:
            writer = 0 if status.workers == 1 else status.worker + 1
            for each in status.partitions:
                if each.partition in self._left and each.position >= self.positions[each.partition]:
                    self._left.discard(each.partition)
                    self._epochs[writer] = max(status.epoch, self._epochs.get(writer, 0))

    def _has(self, writer: int) -> int:
        return OnlineSink(self.context.online, self.source, writer).epoch()

    def _hopeless(self, found: Sequence[StreamStatus]) -> str:
        if not found:
            return f"no stream of '{self.source}' has run yet. Start it: headrace stream --source {self.source}"
        ended = [each for each in found if each.condition not in LIVE]
        if not ended:
            return ""
        why = f" ({ended[0].why})" if ended[0].why else ""
        return (
            f"no stream of '{self.source}' runs: it is {ended[0].condition}{why}. "
            f"Start it: headrace stream --source {self.source}"
        )


def waited(context: Context, report: PushReport, seconds: float) -> PushReport:
    """Wait until a push can be read, so long at most; the report with what came of it."""
    began = time.monotonic()
    waiting = Waiting(context, report.source, report.positions)
    while True:
        is_readable, why = waiting.look()
        passed = time.monotonic() - began
        if is_readable or why or passed >= seconds:
            return told(report, is_readable, why, passed)
        time.sleep(min(LOOK_SECONDS, seconds - passed))


def told(report: PushReport, is_readable: bool, why: str, seconds: float) -> PushReport:
    """A report with what came of waiting."""
    reason = "" if is_readable else why or NOT_YET
    return replace(report, readable=is_readable, waited_seconds=round(seconds, 4), reason=reason)
