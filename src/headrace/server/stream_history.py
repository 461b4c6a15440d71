"""How streams went lately: one sample a second, for the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from headrace.platform.stream_status import LIVE
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.streaming.status import StreamStatus

KEPT_SECONDS: Final = 900
_SILENT_SECONDS: Final = 30
"""A worker that said nothing for so long is not counted as reading."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How a stream was at one time, all of its workers together.

    What is not known is None: nothing of a stream that does not run but that it reads nothing, and no freshness
    where the log does not say when it took a record.
    """

    at_seconds: float
    events_per_second: float
    lag_offsets: int | None
    lag_seconds: float | None
    freshness_p50_seconds: float | None
    freshness_p99_seconds: float | None


class History:
    """The samples of the last quarter of an hour, by source. Not for several threads at once.

    Parameters
    ----------
    length : int
        How many samples of each source are kept.
    """

    def __init__(self, length: int = KEPT_SECONDS) -> None:
        self._length = length
        self._samples: dict[str, deque[Sample]] = {}

    def add(self, now: int, found: Sequence[StreamStatus]) -> None:
        """Take a sample of each stream; `now` in microseconds UTC."""
        for source in dict.fromkeys(each.source for each in found):
            kept = self._samples.setdefault(source, deque(maxlen=self._length))
            kept.append(sample(now, [each for each in found if each.source == source]))

    def plain(self, after_seconds: float = 0.0) -> dict[str, dict[str, list[Any]]]:
        """For each source a list of each of a sample's fields, oldest first, of those taken after a time."""
        return {
            source: {
                field.name: [getattr(each, field.name) for each in kept if each.at_seconds > after_seconds]
                for field in fields(Sample)
            }
            for source, kept in self._samples.items()
        }


def sample(now: int, workers: Sequence[StreamStatus]) -> Sample:
    """One stream's workers taken together: counts are added, of times the worst one counts."""
    live = [each for each in workers if each.condition in LIVE]
    heard = [each for each in live if now - each.at < _SILENT_SECONDS * SECOND]
    fresh = [each for each in heard if each.measures_arrival]
    return Sample(
        round(now / SECOND, 3),
        sum(each.events_per_second for each in heard),
        sum(each.lag_offsets for each in live) if live else None,
        max((each.lag_seconds for each in live), default=None),
        max((each.freshness_p50_seconds for each in fresh), default=None),
        max((each.freshness_p99_seconds for each in fresh), default=None),
    )
