"""From when the values of an answer hold: the step in force of each record that was read for it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.errors import OnlineStoreError
from headrace.platform.online_heads import Head
from headrace.timeline.packed import INCOMPLETE, NOT_FOUND
from headrace.timeline.packed_types import CorruptRecordError

if TYPE_CHECKING:
    from headrace.definitions.views import Selection
    from headrace.platform.online import Columns, Look, OnlineReader
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.timeline.packed_steps import Step


@dataclass(frozen=True, slots=True)
class Traced:
    """An answer, and the steps that it was read from.

    Parameters
    ----------
    answer : OnlineAnswer
        The answer.
    steps : dict of str to list of Step or None
        For each selection of the service, by its name, the step in force of each entity; None where there is none.
    selections : tuple of Selection
        The service's, those included that only on-demand features read.
    """

    answer: OnlineAnswer
    steps: dict[str, list[Step | None]]
    selections: tuple[Selection, ...]

    def step(self, column: str, row: int) -> Step | None:
        """The step that a value was read from; None of an on-demand feature, which is in no record."""
        chosen = self.selection(column)
        return None if chosen is None else self.steps[chosen.name][row]

    def selection(self, column: str) -> Selection | None:
        """What a column of the answer was read by; None of an on-demand feature."""
        return next((each for each in self.selections if column in each.columns.values()), None)

    def valid_from(self) -> list[tuple[int | None, ...]]:
        """As the answer's `rows`: from when each value's step holds, in microseconds; None where there is no step."""
        read = {column: chosen.name for chosen in self.selections for column in chosen.columns.values()}
        columns = [self.steps.get(read.get(name, "")) for name in self.answer.names]
        return [
            tuple(None if steps is None else _begin(steps[row]) for steps in columns)
            for row in range(len(self.answer.rows))
        ]


def traced(reader: OnlineReader, entities: Columns, at: int) -> Traced:
    """Read features as `OnlineReader.read` does, and tell from which steps.

    Parameters
    ----------
    reader : OnlineReader
        Of the service.
    entities : mapping of str to sequence
        The columns that the service needs: a value an entity.
    at : int
        The time, in microseconds UTC.

    Raises
    ------
    UnknownNameError, DefinitionError
        If a column is missing, of another length than others, or a value of another type.
    NotAppliedError
        If a view was never materialized as the service needs it.
    OnlineStoreError
        If the store can't be read.
    """
    look, found, answer = reader.settled(entities, at)
    return Traced(answer, _steps(reader, look, found, at), tuple(reader.service.read_selections))


def _steps(reader: OnlineReader, look: Look, found: Sequence[bytes | None], at: int) -> dict[str, list[Step | None]]:
    """For each selection the step in force of each entity, of the very bytes that were answered from."""
    n_heads = len(look.own)
    records = iter(found[n_heads:])
    steps: dict[str, list[Step | None]] = {}
    for chosen, value, keys in zip(reader.service.read_selections, found[:n_heads], look.own, strict=True):
        own = [None if key is None else next(records) for key in keys]
        assert value is not None
        steps[chosen.name] = _in_force(Head.unpack(value), own, at, chosen)
    return steps


def _in_force(head: Head, records: Sequence[bytes | None], at: int, chosen: Selection) -> list[Step | None]:
    reader, seen = head.layout.reader(), (head.generation, head.epoch)
    if at < head.complete_from:
        return [None] * len(records)
    found: list[Step | None] = []
    try:
        for record in records:
            there = reader.at(record, seen, at).statuses[0] not in (NOT_FOUND, INCOMPLETE)
            found.append(_step_at(reader.steps(record, seen), at) if there else None)
    except CorruptRecordError as error:
        raise OnlineStoreError(
            f"{chosen.view.place}: a record is damaged: {error}. Run: headrace materialize {chosen.view.name} --whole"
        ) from error
    return found


def _step_at(steps: Sequence[Step], at: int) -> Step | None:
    place = bisect_right(steps, at, key=lambda step: step.valid_from)
    return steps[place - 1] if place else None


def _begin(step: Step | None) -> int | None:
    return None if step is None else step.valid_from
