"""What the online store answered: for each entity that was asked for, its features now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    import polars as pl

    from headrace.platform.online_heads import Head
    from headrace.types import DataType


class OnlineAnswer(msgspec.Struct, frozen=True):
    """The features of some entities at one time.

    Parameters
    ----------
    at : int
        The time, in microseconds UTC.
    entities : mapping of str to sequence
        The columns that were asked with: a value a row.
    entity_types : mapping of str to DataType
        The types of those that the service needs.
    types : mapping of str to DataType
        The type of each feature: the service's columns, ``view__feature`` and ``on_demand__output``, in its order.
    rows : list of tuple
        For each entity a Python value a feature; None where it has none.
    statuses : list of tuple of int
        Why: places in `headrace.timeline.packed.STATUSES`.
    time_columns : sequence of sequence
        For each feature, when the newest row behind each entity's value happened, in microseconds UTC; None where
        there is none. Features of one view share a sequence.
    heads : mapping of str to Head
        What was served of each view that was read: its version, and through when it is computed. A view that the
        service pins is named with its version: ``driver_now@3``.
    failures : mapping of str to str
        Why the columns with status `FAILED` have none: what their on-demand function raised.
    """

    at: int
    entities: Mapping[str, Sequence[Any]]
    entity_types: Mapping[str, DataType]
    types: Mapping[str, DataType]
    rows: list[tuple[Any, ...]]
    statuses: list[tuple[int, ...]]
    time_columns: Sequence[Sequence[int | None]]
    heads: Mapping[str, Head]
    failures: Mapping[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the features, in the service's order."""
        return tuple(self.types)

    @property
    def event_times(self) -> list[tuple[int | None, ...]]:
        """`time_columns` by entity: a place a feature."""
        return [*zip(*self.time_columns, strict=True)]

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict an entity: what it was asked with, and its features."""
        keys = [dict(zip(self.entities, row, strict=True)) for row in zip(*self.entities.values(), strict=True)]
        names = self.names
        return [
            {**key, **dict(zip(names, row, strict=True))}
            for key, row in zip(keys or [{} for _ in self.rows], self.rows, strict=True)
        ]

    def to_dict(self) -> dict[str, list[Any]]:
        """A list a column: those that were asked with, and the features."""
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.types)
        features = {name: list(column) for name, column in zip(self.types, columns, strict=True)}
        return {**{name: list(values) for name, values in self.entities.items()}, **features}

    def status_names(self) -> list[dict[str, str]]:
        """A dict an entity: the status of each feature by its name, such as ``PRESENT``."""
        names = self.names
        return [{name: STATUSES[code] for name, code in zip(names, row, strict=True)} for row in self.statuses]

    def to_frame(self) -> pl.DataFrame:
        """A Polars frame; columns that the service does not know are of the types that Polars finds for them."""
        import polars as pl

        from headrace.engines.polars_types import to_polars

        types = {name: to_polars(dtype) for name, dtype in {**self.entity_types, **self.types}.items()}
        return pl.DataFrame([pl.Series(name, held, dtype=types.get(name)) for name, held in self.to_dict().items()])
