"""What an aggregate is to the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from headrace.timeline.arrays import Bools, Ints, Payload
from headrace.timeline.axis import Spans


@dataclass(frozen=True, slots=True)
class Result:
    """A value for each step.

    Parameters
    ----------
    values : array, shape (n_steps,)
        Meaningless where `valid` is false.
    valid : bool array, shape (n_steps,)
        Where there is a value; null elsewhere.
    """

    values: NDArray[Any]
    valid: Bools


class Aggregate(Protocol):
    """A family member, such as the mean or a quantile.

    An element stands for one row or, once compacted, for many that count over the same interval.
    """

    @property
    def discriminators(self) -> tuple[str, ...]:
        """Columns of the payload that keep elements apart when they are compacted."""
        ...

    def lift(self, values: NDArray[Any]) -> Payload:
        """One element for each value; nulls have been left out."""
        ...

    def compact(self, elements: Payload, into: Ints, n: int) -> Payload:
        """Merge the elements that share an interval (and discriminators) into one each."""
        ...

    def evaluate(self, spans: Spans, elements: Payload) -> Result:
        """The value at each step."""
        ...
