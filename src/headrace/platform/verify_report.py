"""What a verification found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.platform.verify_causes import CAUSES, UNEXPLAINED
from headrace.platform.verify_values import Reading
from headrace.types import instant_text

LISTED: Final = 1_000
"""At most so many differences of a cause are listed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not everywhere the same.

    Parameters
    ----------
    key : mapping of str to value
        The entity, as tables hold it: a key that is masked is its hash.
    at : int
        The time, in microseconds UTC.
    feature : str
        The feature.
    offline, online : Reading or None
        What was read; None where there is no answer for that time.
    recomputed : Reading
        What all that silver has gives.
    cause : str
        One of `headrace.platform.verify_causes.CAUSES`.
    """

    key: Mapping[str, Any]
    at: int
    feature: str
    offline: Reading | None
    online: Reading | None
    recomputed: Reading
    cause: str

    def __str__(self) -> str:
        """One line for people."""
        whom = ", ".join(f"{name}={value}" for name, value in self.key.items()) or "all"
        read = {"offline": self.offline, "online": self.online, "recomputed": self.recomputed}
        said = ", ".join(f"{where} {value}" for where, value in read.items() if value is not None)
        return f"{whom} at {instant_text(self.at)}, {self.feature}: {said}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How a view's values compare.

    Parameters
    ----------
    view : str
        The view.
    version : int or None
        The publication that was read offline; None where nothing was published.
    comparisons : int
        Values that were compared: of a feature of an entity at a time.
    equal : int
        Those where all that was read is as recomputed.
    differences : sequence of Difference
        The first of each cause, by entity and time; at most `LISTED` of each.
    by_cause : mapping of str to int
        How many there are of each cause that was found.
    online : int or None
        The publication that the online store has; None where it has nothing of the view.
    online_comparisons : int
        The comparisons in which the online store took part.
    seconds : float
        How long it took.
    """

    view: str
    version: int | None
    comparisons: int = 0
    equal: int = 0
    differences: Sequence[Difference] = ()
    by_cause: Mapping[str, int] = field(default_factory=dict)
    online: int | None = None
    online_comparisons: int = 0
    seconds: float = 0.0

    @property
    def unexplained(self) -> int:
        """How many differences have no cause that could be shown."""
        return self.by_cause.get(CAUSES[UNEXPLAINED], 0)
