"""What a comparison of a stream with the batch lane found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.platform.lookup import TIME
from headrace.types import BEGINNING, instant_text

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView

KIND, CAUSE, FOUND, WANTED = "_hr_kind", "_hr_cause", "_hr_found", "_hr_wanted"
"""Columns of differences, beside the keys and the time: what it is, why, the stream's values and those of batch."""
MISSING, EXTRA, DOUBLED, DIFFERENT, SERVED = "missing", "extra", "doubled", "different", "served"
UNEXPLAINED: Final = "unexplained"
NOT_GOLD: Final = "gold is not what silver gives"
UNEXPECTED: Final = (UNEXPLAINED, NOT_GOLD)
"""Causes that should not be: the command fails of them."""
LISTED: Final = 1_000
"""At most so many differences of a cause are listed."""
_AT: Final = pl.col(TIME).dt.epoch("us")
_KINDS: Final = {
    MISSING: "is missing in the stream's steps", EXTRA: "is a step of the stream alone",
    DOUBLED: "came more than once", DIFFERENT: "has other values", SERVED: "is served otherwise",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepDifference:
    """A step, or a served record, that is not the same in both lanes.

    Parameters
    ----------
    key : mapping of str to value
        The entity, as tables hold it: a key that is masked is its hash.
    at : int
        The step's time, or that at which what is served was read; microseconds UTC.
    kind : str
        ``missing``, ``extra``, ``doubled``, ``different`` or ``served``.
    streamed, batch : mapping of str to value, or None
        What each lane says: all values, and of those that both have only the ones that differ.
    cause : str
        Why.
    """

    key: Mapping[str, Any]
    at: int
    kind: str
    streamed: Mapping[str, Any] | None
    batch: Mapping[str, Any] | None
    cause: str

    def __str__(self) -> str:
        """One line for people."""
        whom = ", ".join(f"{name}={value}" for name, value in self.key.items()) or "all"
        said = [
            f"{where} {', '.join(f'{name}={value}' for name, value in values.items()) or 'nothing'}"
            for where, values in (("stream", self.streamed), ("batch", self.batch))
            if values is not None
        ]
        return f"{whom} at {instant_text(self.at)} {_KINDS[self.kind]}: {'; '.join(said)}"


@dataclass(frozen=True, slots=True)
class StreamReport:
    """How a view's streamed steps and served values compare with the batch lane's.

    Parameters
    ----------
    view, source : str
        The view and its source.
    said : str
        Why nothing was compared; else empty.
    hint : str
        What was not compared, and how it can be.
    generation : int
        That of the stream's steps and records: the newest.
    since, cut : int
        The stream's steps were compared within ``[since, cut)``, in microseconds: later ones are not final yet, and
        earlier ones were loaded with a publication, or are of an earlier generation.
    has_steps : bool
        Whether the stream writes its steps into the lake.
    compared, streamed : int
        Steps that either lane has; those that the stream has.
    from_gold : int
        Of the batch lane's steps, those that were read of gold; the others were computed from silver.
    publication : int or None
        The publication that was read.
    served, served_differing : int
        Entities of which what is served was compared, and where it differs.
    served_at : int
        As of when: a running stream goes on meanwhile.
    differences : sequence of StepDifference
        The first of each cause; at most `LISTED` of each.
    by_cause : mapping of str to int
        How many there are of each cause that was found.
    notes : tuple of str
        What could not be looked at.
    seconds : float
        How long it took.
    """

    view: str
    source: str
    said: str = ""
    hint: str = ""
    generation: int = 0
    since: int = BEGINNING
    cut: int = BEGINNING
    has_steps: bool = False
    compared: int = 0
    streamed: int = 0
    from_gold: int = 0
    publication: int | None = None
    served: int = 0
    served_differing: int = 0
    served_at: int = BEGINNING
    differences: Sequence[StepDifference] = ()
    by_cause: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def unexplained(self) -> int:
        """How many differences should not be."""
        return sum(self.by_cause.get(cause, 0) for cause in UNEXPECTED)


def differences_of(view: FeatureView, parts: Sequence[pl.DataFrame]) -> tuple[dict[str, int], list[StepDifference]]:
    """Count differences by cause, those that should not be first, and list the first of each."""
    filled = [part for part in parts if part.height]
    if not filled:
        return {}, []
    counted = pl.concat([part.select(CAUSE) for part in filled])[CAUSE].value_counts().sort(CAUSE)
    found = dict(counted.iter_rows())
    by_cause = {cause: found[cause] for cause in sorted(found, key=lambda cause: (cause not in UNEXPECTED, cause))}
    listed = []
    for cause in by_cause:
        for part in filled:
            first = part.filter(pl.col(CAUSE) == cause).sort(*view.entity_keys, TIME).head(LISTED).with_columns(_AT)
            listed += [_difference(row, list(view.entity_keys)) for row in first.iter_rows(named=True)]
    return by_cause, listed


def _difference(row: dict[str, Any], keys: list[str]) -> StepDifference:
    streamed, batch = row[FOUND], row[WANTED]
    if streamed is not None and batch is not None:
        names = [name for name in streamed if streamed[name] != batch[name]]
        streamed, batch = ({name: each[name] for name in names} for each in (streamed, batch))
    return StepDifference({key: row[key] for key in keys}, row[TIME], row[KIND], streamed, batch, row[CAUSE])
