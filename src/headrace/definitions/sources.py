"""Sources: where rows come from, what they must look like and when they count.

A row happens at ``t`` (its event time) and is known at ``a``. It counts from ``k = max(t, a)``,
strictly. `available_time`, `known_after` and `inclusive` say what ``a`` and "strictly" are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headrace.definitions.checks import Check
from headrace.definitions.locations import Files, Kafka, Location
from headrace.definitions.names import checked_columns, checked_name
from headrace.definitions.personal import Mask
from headrace.errors import DefinitionError, TimeError, UnknownNameError
from headrace.types import BEGINNING, DataType, duration, instant

Columns = str | Sequence[str] | None
ON_ADDED = ("evolve", "quarantine", "stop")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What all sources share. Lengths of time are given as text and kept as microseconds.

    Parameters
    ----------
    name : str
        A lower-case identifier.
    schema : mapping of str to DataType
        The columns that rows must have; silver has these and no others (unless `on_added_column`
        lets it grow).
    event_time : str
        The column of ``t``: a Timestamp, or a Date, which means the last microsecond of that day.
    available_time : str, optional
        The column of ``a``, where it was measured.
    known_after : duration
        Added to ``a``: how long after that the data can be read ("2h30m" for a file that lands at
        02:30 the next day).
    timezone : str, optional
        The zone of naive times in the input; without it they are refused.
    sequence : str, optional
        The column that orders rows of equal time.
    inclusive : bool
        Whether a row counts at ``k`` itself rather than just after it.
    max_lateness : duration
        The delay of hopping windows, and nothing else.
    max_future : duration
        How far a row's time may lie after its arrival.
    complete_from : time, optional
        From when on the source has every row, or ``"beginning"``: lifetime aggregates need that. A source
        that says nothing is taken to begin with its data.
    dedupe_on : str or sequence of str, optional
        The columns that identify a row.
    dedupe_within : duration
        For how long identities are remembered.
    required : str or sequence of str
        Columns that are never null, beside the time, the identity and the keys.
    contract : sequence of Check
        What must hold of each row, else it is quarantined.
    personal : mapping of str to Mask
        How personal columns are masked in silver.
    on_added_column : str
        ``evolve`` (kept, and reported), ``quarantine`` (rows with a value there) or ``stop``.
    max_rejected_share : float
        The share of a batch that may be quarantined; beyond it the batch stops, and nothing of it
        is published.
    batch, stream : location, optional
        Where rows come from.
    """

    kind: ClassVar[str] = "source"

    name: str = field(kw_only=False)
    schema: Mapping[str, DataType]
    event_time: str | None
    available_time: str | None = None
    known_after: int | str | timedelta = 0
    timezone: str | None = None
    sequence: str | None = None
    inclusive: bool = False
    max_lateness: int | str | timedelta = 0
    max_future: int | str | timedelta = "1m"
    complete_from: int | str | datetime | date | None = None
    dedupe_on: Columns = None
    dedupe_within: int | str | timedelta = "7d"
    required: Columns = None
    contract: Sequence[Check] = ()
    personal: Mapping[str, Mask] = field(default_factory=dict)
    on_added_column: str = "evolve"
    max_rejected_share: float = 0.05
    batch: Files | None = None
    stream: Location | None = None
    description: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        """Parse lengths and lists, then check every name."""
        checked_name(self.kind, self.name)
        checked_columns(self.where, self.schema)
        for name in ("known_after", "max_lateness", "max_future", "dedupe_within"):
            self._set(name, duration(getattr(self, name)))
        for name in ("dedupe_on", "required"):
            self._set(name, as_columns(getattr(self, name)))
        if self.complete_from is not None:
            self._set("complete_from", BEGINNING if self.complete_from == "beginning" else instant(self.complete_from))
        self._set("schema", MappingProxyType(dict(self.schema)))
        self._set("personal", MappingProxyType(dict(self.personal)))
        self._set("contract", tuple(self.contract))
        self._check_columns()
        self._check_options()

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def where(self) -> str:
        """The place named in messages."""
        return f"source '{self.name}'"

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that tell one row from another; empty if nothing does."""
        return as_columns(self.dedupe_on)

    @property
    def known_after_us(self) -> int:
        """`known_after` in microseconds."""
        return cast(int, self.known_after)

    @property
    def max_lateness_us(self) -> int:
        """`max_lateness` in microseconds."""
        return cast(int, self.max_lateness)

    @property
    def max_future_us(self) -> int:
        """`max_future` in microseconds."""
        return cast(int, self.max_future)

    @property
    def dedupe_within_us(self) -> int:
        """`dedupe_within` in microseconds."""
        return cast(int, self.dedupe_within)

    @property
    def complete_from_us(self) -> int | None:
        """`complete_from` in microseconds since 1970 UTC."""
        return cast("int | None", self.complete_from)

    def _check_columns(self) -> None:
        if self.event_time is None and not isinstance(self, SnapshotSource):
            raise DefinitionError(f"{self.where}: event_time is needed: the column that says when a row happened.")
        named = [self.event_time, self.available_time, self.sequence, *self.identity, *as_columns(self.required)]
        named += [*self.personal, *(check.column for check in self.contract)]
        if isinstance(self.stream, Kafka) and self.stream.key:
            named.append(self.stream.key)
        for column in named:
            if column is not None and column not in self.schema:
                raise UnknownNameError.of("column", column, self.schema, self.where)
        for role, column in (("event_time", self.event_time), ("available_time", self.available_time)):
            if column is not None and not self.schema[column].is_temporal:
                raise DefinitionError(
                    f"{self.where}, {role}: column '{column}' is {self.schema[column]}; a Timestamp or Date is needed."
                )

    def _check_options(self) -> None:
        if self.on_added_column not in ON_ADDED:
            raise UnknownNameError.of("choice", self.on_added_column, ON_ADDED, f"{self.where}, on_added_column")
        if not 0.0 <= self.max_rejected_share <= 1.0:
            raise DefinitionError(f"{self.where}: max_rejected_share={self.max_rejected_share} is no share of 1.")
        if self.timezone is not None:
            try:
                ZoneInfo(self.timezone)
            except (ZoneInfoNotFoundError, ValueError):
                raise TimeError(f"{self.where}: there is no time zone '{self.timezone}'. Try 'Europe/Paris'.") from None


@dataclass(frozen=True, kw_only=True)
class EventSource(Source):
    """Things that happened, and stay so: pings, clicks, orders.

    Examples
    --------
    >>> import headrace as hr
    >>> gps = hr.EventSource("gps", schema={"driver_id": hr.Int64, "ts": hr.Timestamp}, event_time="ts")
    >>> gps.identity
    ()
    """

    kind: ClassVar[str] = "event source"


@dataclass(frozen=True, kw_only=True)
class ChangeSource(Source):
    """The changes of a database table: rows are inserted, updated and deleted.

    Parameters
    ----------
    primary_key : str or sequence of str
        The columns that identify a row of the table.
    """

    kind: ClassVar[str] = "change source"

    primary_key: Columns

    def __post_init__(self) -> None:
        """Parse the key."""
        self._set("primary_key", as_columns(self.primary_key))
        super().__post_init__()
        _check_primary_key(self)


@dataclass(frozen=True, kw_only=True)
class SnapshotSource(Source):
    """Whole tables, one a day: each file is the truth of its day.

    A row that is missing from the next file has ended. A file's day is ``{date}`` in its name; it is
    known at the end of that day plus `known_after`.

    Parameters
    ----------
    primary_key : str or sequence of str
        The columns that identify a row of the table.
    event_time : str, optional
        When a row happened; without it, at the end of its snapshot's day.
    """

    kind: ClassVar[str] = "snapshot source"

    primary_key: Columns
    event_time: str | None = None

    def __post_init__(self) -> None:
        """Parse the key and look for the day."""
        self._set("primary_key", as_columns(self.primary_key))
        super().__post_init__()
        _check_primary_key(self)
        if self.batch is not None and "{date}" not in self.batch.pattern:
            raise DefinitionError(
                f"{self.where}: the pattern '{self.batch.pattern}' does not say where a file's day is. "
                "Write it with {date}, e.g. documents_{date}.csv."
            )


def as_columns(columns: Columns) -> tuple[str, ...]:
    """One column, several or none, as a tuple."""
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _check_primary_key(source: ChangeSource | SnapshotSource) -> None:
    key = as_columns(source.primary_key)
    if not key:
        raise DefinitionError(f"{source.where}: primary_key is needed, to tell which row a change is about.")
    for column in key:
        if column not in source.schema:
            raise UnknownNameError.of("column", column, source.schema, f"{source.where}, primary_key")
