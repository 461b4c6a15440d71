"""What a comparison of the log of what was served with the offline truth found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.platform.verify_values import Reading

(
    LATE_ROW, DELAY, DROPPED_UPDATE, STALE_RECORD, WRONG_VERSION, TTL, SKEWED_CLOCK, FAULT,
) = range(8)  # fmt: skip
CAUSES: Final = (
    "late row", "not yet readable", "dropped update", "stale record", "wrong version", "ttl", "skewed clock", "fault",
)  # fmt: skip
"""The names of the causes. The first two are no fault: rows came when the answer had been given."""
EXPECTED: Final = (CAUSES[LATE_ROW], CAUSES[DELAY])
LISTED: Final = 1_000
"""At most so many differences of a cause are listed."""


@dataclass(frozen=True, slots=True)
class ServedDifference:
    """A served value that is not the offline truth of its time.

    Parameters
    ----------
    service, request_id : str
        The service and the request.
    key : mapping of str to value
        The entity, as tables hold it: a key that is masked is its hash.
    at : int
        The time of the request, in microseconds UTC.
    feature : str
        ``view__feature``.
    served, truth : Reading
        What was answered, and what holds offline.
    version : int or None
        The publication of the view that the answer was read from.
    worker : str
        The process that answered.
    cause : str
        One of `CAUSES`.
    why : str
        What proves it.
    """

    service: str
    request_id: str
    key: Mapping[str, Any]
    at: int
    feature: str
    served: Reading
    truth: Reading
    version: int | None
    worker: str
    cause: str
    why: str

    def __str__(self) -> str:
        """One line for people."""
        whom = ", ".join(f"{name}={value}" for name, value in self.key.items()) or "all"
        return (
            f"{whom} at {instant_text(self.at)}, {self.feature}: served {self.served}, offline {self.truth} "
            f"({self.why}; request {self.request_id or 'without an id'})"
        )


@dataclass(frozen=True, slots=True)
class ServedReport:
    """How what was served compares with the offline truth.

    Parameters
    ----------
    services : sequence of str
        The services whose log was read.
    requests, rows : int
        Requests, and entities in them.
    comparisons, equal : int
        Values that were compared, and those that are the truth.
    not_comparable : mapping of str to int
        Values that could not be compared, by reason: they are neither equal nor different.
    lost : int
        Requests that the log says are missing from it.
    differences : sequence of ServedDifference
        The first of each cause; at most `LISTED` of each.
    by_cause : mapping of str to int
        How many there are of each cause that was found.
    clock_offsets_us : mapping of str to int
        Workers whose clock was wrong, and by how much it was ahead, in microseconds.
    seconds : float
        How long it took.
    """

    services: Sequence[str]
    requests: int = 0
    rows: int = 0
    comparisons: int = 0
    equal: int = 0
    not_comparable: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    differences: Sequence[ServedDifference] = ()
    by_cause: Mapping[str, int] = field(default_factory=dict)
    clock_offsets_us: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def faults(self) -> int:
        """How many differences have another cause than that rows came later than the answer."""
        return sum(number for cause, number in self.by_cause.items() if cause not in EXPECTED)
