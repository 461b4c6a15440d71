"""What the server answered: values, and why, how old and of which version each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl


@dataclass(frozen=True, slots=True)
class Column:
    """One feature of all entities.

    Parameters
    ----------
    values : list
        A value an entity; None unless its status says that there is one.
    statuses : list of str
        ``PRESENT``, ``NULL_VALUE``, ``NOT_FOUND``, ``OUTSIDE_MAX_AGE``, ``INCOMPLETE``, or another word of the server.
    event_times : list of datetime
        When the newest row behind a value happened, in UTC; None where there is none.
    """

    values: list[Any]
    statuses: list[str]
    event_times: list[datetime | None]


@dataclass(frozen=True, slots=True)
class View:
    """What was read of one view.

    Parameters
    ----------
    version : int
        The publication.
    frontier, written_at : datetime, optional
        Through when it is computed, and when the online store was told so.
    """

    version: int
    frontier: datetime | None = None
    written_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Features:
    """The features of some entities, in the order in which they were asked for.

    Parameters
    ----------
    entities : mapping of str to list
        The columns that were asked with.
    found : mapping of str to Column
        The features by name.
    answered_at : datetime
        The time that the answer is for; where the server does not say it, when it came, by this machine's clock.
    views : mapping of str to View
        What was read of each view; empty where the server does not say.
    row_count : int
        How many entities there are.
    failures : mapping of str to str
        Why an on-demand feature failed, by its name.

    Examples
    --------
    >>> from datetime import timezone
    >>> noon = datetime(2026, 1, 5, 12, tzinfo=timezone.utc)
    >>> total = Column([7, None], ["PRESENT", "NOT_FOUND"], [noon - timedelta(minutes=3), None])
    >>> features = Features({"driver_id": [1, 2]}, {"total": total}, noon, {"driver_now": View(4)}, 2)
    >>> features.rows()
    [{'driver_id': 1, 'total': 7}, {'driver_id': 2, 'total': None}]
    >>> features.status("total", 1), str(features.age("total"))
    ('NOT_FOUND', '0:03:00')
    """

    entities: Mapping[str, list[Any]]
    found: Mapping[str, Column]
    answered_at: datetime
    views: Mapping[str, View]
    row_count: int
    failures: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many entities there are."""
        return self.row_count

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order in which they were asked for."""
        return tuple(self.found)

    @property
    def versions(self) -> dict[str, int]:
        """The version of each view that was read; empty where the server does not say."""
        return {name: view.version for name, view in self.views.items()}

    @property
    def statuses(self) -> dict[str, list[str]]:
        """A list a feature: the status of each entity's value."""
        return {name: column.statuses for name, column in self.found.items()}

    def rows(self) -> list[dict[str, Any]]:
        """A dict an entity: what it was asked with, then its features."""
        columns = self.columns()
        if not columns:
            return [{} for _ in range(self.row_count)]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def columns(self) -> dict[str, list[Any]]:
        """A list a column: those that were asked with, then the features."""
        return {**self.entities, **{name: column.values for name, column in self.found.items()}}

    def value(self, name: str, row: int = 0) -> Any:
        """A feature's value; None where there is none: `status` says why."""
        return self._column(name).values[row]

    def status(self, name: str, row: int = 0) -> str:
        """Why a value is as it is, such as ``PRESENT`` or ``OUTSIDE_MAX_AGE``."""
        return self._column(name).statuses[row]

    def event_time(self, name: str, row: int = 0) -> datetime | None:
        """When the newest row behind a value happened; None where there is none."""
        return self._column(name).event_times[row]

    def age(self, name: str, row: int = 0) -> timedelta | None:
        """How old the newest row behind a value was when it was answered; None where there is none."""
        happened = self.event_time(name, row)
        return None if happened is None else self.answered_at - happened

    def to_pandas(self) -> pd.DataFrame:
        """A pandas frame, which has to be installed, with the columns of `columns`."""
        import pandas as pd

        return pd.DataFrame(self.columns(), index=range(self.row_count))

    def to_polars(self) -> pl.DataFrame:
        """A Polars frame, which has to be installed, with the columns of `columns`."""
        import polars as pl

        return pl.DataFrame(self.columns(), strict=False)

    def _column(self, name: str) -> Column:
        try:
            return self.found[name]
        except KeyError:
            raise KeyError(f"there is no feature '{name}' in the answer. There are: {', '.join(self.found)}.") from None


def joined(parts: Sequence[Features]) -> Features:
    """The answers to the parts of one request, in their order."""
    first = parts[0]
    if len(parts) == 1:
        return first
    found = {name: _joined([part.found[name] for part in parts]) for name in first.found}
    entities = {name: [value for part in parts for value in part.entities[name]] for name in first.entities}
    failures = {name: reason for part in parts for name, reason in part.failures.items()}
    return Features(entities, found, first.answered_at, first.views, sum(map(len, parts)), failures)


def _joined(columns: Sequence[Column]) -> Column:
    return Column(
        [value for column in columns for value in column.values],
        [status for column in columns for status in column.statuses],
        [at for column in columns for at in column.event_times],
    )
