"""Reading features from the online store: one look at it a request, and each record evaluated at the request's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.errors import DefinitionError, OnlineStoreError, UnknownNameError
from headrace.platform.online_answer import OnlineAnswer
from headrace.platform.online_reading import Served, ViewReader, picking
from headrace.platform.pinned import resolved
from headrace.types import DataType, instant

if TYPE_CHECKING:
    from datetime import date, datetime

    from headrace.definitions.services import FeatureService
    from headrace.platform.context import Context
    from headrace.platform.online_on_demand import Made
    from headrace.timeline.packed import Answers

Columns = Mapping[str, Sequence[Any]]
Rows = list[tuple[Any, ...]]
Times = list[Sequence[int | None]]
ATTEMPTS = 5
"""How often a request looks again because another definition was put in force meanwhile."""


def online(
    context: Context,
    service: str | FeatureService,
    entity_rows: Any,
    at: str | int | date | datetime | None = None,
) -> OnlineAnswer:
    """The features of some entities now.

    Parameters
    ----------
    context : Context
        The project.
    service : str or FeatureService
        Which features.
    entity_rows : list of dict, dict of lists, or frame
        Whose: the key columns, and what on-demand features ask for. Further columns are handed back.
    at : time, optional
        When; now by default. The store knows the present and what is scheduled, and not the past.

    Raises
    ------
    UnknownNameError
        If there is no such service, or a column is missing.
    DefinitionError
        If a value is not of its column's type.
    NotAppliedError
        If a view was never materialized as the service needs it.
    OnlineStoreError
        If the store can't be read.
    """
    reader = OnlineReader.of(context, service)
    return reader.read(as_columns(entity_rows), context.clock() if at is None else instant(at))


class Look(NamedTuple):
    """What one look at the store is to read.

    Parameters
    ----------
    entities : mapping of str to sequence
        What was asked with.
    served : list of Served or None
        What each view was when the keys were made; None where it is not known yet: then only heads are read.
    own : list of list of bytes or None
        For each view the keys of the entities' records; None where an entity's key is null.
    keys : list of bytes
        All of them: those of heads first, then those of records.
    """

    entities: Columns
    served: list[Served] | None
    own: list[list[bytes | None]]
    keys: list[bytes]


class Settled(NamedTuple):
    """A look at the store that was answered from.

    Parameters
    ----------
    look : Look
        What was to be read.
    found : list of bytes or None
        The values of its keys.
    answer : OnlineAnswer
        What they say.
    """

    look: Look
    found: list[bytes | None]
    answer: OnlineAnswer


class OnlineReader:
    """A service, ready to answer requests. Several threads can use it.

    Parameters
    ----------
    context : Context
        The project.
    service : FeatureService
        Which features.

    Attributes
    ----------
    columns : dict of str to DataType
        What a request brings: the keys of entities, and what on-demand features ask for.
    """

    def __init__(self, context: Context, service: FeatureService) -> None:
        self.service, self._store = service, context.online
        self._views = [ViewReader(chosen, self._store.location) for chosen in service.read_selections]
        self._head_keys = [view.head_key for view in self._views]
        self.columns: dict[str, DataType] = {}
        for view in self._views:
            for key, column in view.selection.key_columns.items():
                self.columns.setdefault(column, view.view.entity_keys[key])
        self.columns |= service.request
        self._read_columns = [column for view in self._views for column in view.selection.columns.values()]
        made = [f"{item.name}__{name}" for item in service.on_demand for name in item.outputs]
        self._pick = picking([*self._read_columns, *made], service.columns)
        self._has_on_demand = bool(service.on_demand)
        self._types: tuple[list[Served] | None, dict[str, DataType]] = None, {}

    @classmethod
    def of(cls, context: Context, service: str | FeatureService) -> OnlineReader:
        """The reader of a service, which may be given by its name.

        Raises
        ------
        UnknownNameError
            If there is no such service.
        """
        named = context.definitions.service(service) if isinstance(service, str) else service
        return cls(context, resolved(context, named))

    def read(self, entities: Columns, at: int) -> OnlineAnswer:
        """The features of some entities.

        Parameters
        ----------
        entities : mapping of str to sequence
            The columns named in `columns`, of Python values: one an entity.
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
        return self.settled(entities, at).answer

    def settled(self, entities: Columns, at: int) -> Settled:
        """As `read`, with the bytes that were answered from; it looks again until all are of one version."""
        for _ in range(ATTEMPTS):
            look = self.look(entities)
            found = self.fetched(look)
            answer = None if found is None else self.answer(look, found, at)
            if found is not None and answer is not None:
                return Settled(look, found, answer)
        raise self.unsettled()

    def look(self, entities: Columns) -> Look:
        """What one look at the store is to read for some entities.

        Raises
        ------
        UnknownNameError, DefinitionError
            If a column is missing, of another length than others, or a value of another type.
        """
        n = self._checked(entities)
        served = [view.served for view in self._views if view.served is not None]
        if len(served) < len(self._views):
            return Look(entities, None, [], self._head_keys)
        own = [view.keys(s, entities, n) for view, s in zip(self._views, served, strict=True)]
        return Look(entities, served, own, [*self._head_keys, *filter(None, chain.from_iterable(own))])

    def fetched(self, look: Look) -> list[bytes | None] | None:
        """The values of a look's keys as from one state, whatever the store; None if another look is needed.

        Where the store does not read so, the heads are read again after the records. They are the same as when the
        keys were made, or somebody published meanwhile: see `headrace.online.base.OnlineStore.reads_one_state`.

        Raises
        ------
        NotAppliedError
            If a view was never materialized as the service needs it.
        OnlineStoreError
            If the store can't be read.
        """
        store, before = self._store, look.served
        if store.reads_one_state or before is None:
            return store.get_many(look.keys)
        if any(each.head.stream for each in before):  # such a head tells with each epoch how far it has come
            before = self._heads(store.get_many(self._head_keys))
        records = store.get_many(look.keys[len(self._head_keys) :])
        after = self._heads(store.get_many(self._head_keys))
        return [*(each.value for each in before), *records] if all(map(_same_version, before, after)) else None

    def answer(self, look: Look, found: Sequence[bytes | None], at: int) -> OnlineAnswer | None:
        """What the store's values say, all of one state; None if another look is needed, as keys are others now.

        Parameters
        ----------
        look : Look
            What was to be read.
        found : sequence of bytes or None
            The values of the look's keys.
        at : int
            The time, in microseconds UTC.

        Raises
        ------
        NotAppliedError
            If a view was never materialized as the service needs it.
        OnlineStoreError
            If a record is damaged.
        """
        n_heads = len(self._head_keys)
        fresh = self._heads(found[:n_heads])
        if look.served is None or not all(map(_same_definition, fresh, look.served)):
            return None
        records = iter(found[n_heads:])
        own = [[None if key is None else next(records) for key in some] for some in look.own]
        views = zip(self._views, fresh, own, strict=True)
        return self._completed(look.entities, at, fresh, [view.answers(s, some, at) for view, s, some in views])

    def unsettled(self) -> OnlineStoreError:
        """What is told after `ATTEMPTS` looks that each found other definitions than the one before."""
        return OnlineStoreError(
            f"service '{self.service.name}': its views were published under another definition {ATTEMPTS} times "
            "during one request. Ask again."
        )

    def _checked(self, entities: Columns) -> int:
        """How many entities are asked for; one where a service needs no column."""
        for column in self.columns:
            if column not in entities:
                raise UnknownNameError.of("column", column, entities, f"request for service '{self.service.name}'")
        n = next(map(len, entities.values()), 1)
        for column, values in entities.items():
            if len(values) != n:
                raise DefinitionError(
                    f"request for service '{self.service.name}': column '{column}' has {len(values)} values, and "
                    f"others have {n}. Give one an entity."
                )
        return n

    def _heads(self, values: Sequence[bytes | None]) -> list[Served]:
        return [view.at(value) for view, value in zip(self._views, values, strict=True)]

    def _types_of(self, served: list[Served]) -> dict[str, DataType]:
        """The types of the service's columns; remembered, as they seldom change."""
        known, types = self._types
        if known is None or len(known) != len(served) or not all(map(is_, known, served)):
            types = dict(zip(self._read_columns, chain.from_iterable(s.types for s in served), strict=True))
            types |= {f"{item.name}__{name}": t for item in self.service.on_demand for name, t in item.outputs.items()}
            self._types = served, types
        return types

    def _completed(self, entities: Columns, at: int, served: list[Served], answers: list[Answers]) -> OnlineAnswer:
        """What views answered, with the on-demand features, in the service's order."""
        n = next(map(len, entities.values()), 1)
        rows, statuses = _beside([each.values for each in answers], n), _beside([each.statuses for each in answers], n)
        times: Times = []
        for each, own in zip(answers, served, strict=True):
            times += [each.event_times] * len(own.types)
        types = self._types_of(served)
        failures: dict[str, str] = {}
        if self._has_on_demand:
            made = self._on_demand(entities, at, types, rows)
            rows, statuses, failures = _joined(rows, made.values), _joined(statuses, made.statuses), made.failures
            times += [[None] * len(rows)] * len(made.values)  # they have no event time of their own
        if self._pick is not None:
            types = {name: types[name] for name in self.service.columns}
            rows, statuses = [*map(self._pick, rows)], [*map(self._pick, statuses)]
            times = [*self._pick(tuple(times))]
        heads = {view.selection.reference: own.head for view, own in zip(self._views, served, strict=True)}
        return OnlineAnswer(at, entities, self.columns, types, rows, statuses, times, heads, failures)

    def _on_demand(self, entities: Columns, at: int, types: dict[str, DataType], rows: Rows) -> Made:
        from headrace.platform.online_on_demand import on_demand_columns

        columns = zip(*rows, strict=True) if rows else ([] for _ in self._read_columns)
        features = dict(zip(self._read_columns, columns, strict=True))
        return on_demand_columns(self.service, types, features, entities, at, len(rows))


def as_columns(entity_rows: Any) -> dict[str, list[Any]]:
    """The columns of rows that were given in one way or another.

    Parameters
    ----------
    entity_rows : list of dict, mapping of str to sequence, or frame
        Polars, pandas or Arrow; or the path of a Parquet or CSV file. In a list each dict has the same names.

    Raises
    ------
    DefinitionError
        If a row lacks a column that the first one has, or has another.

    Examples
    --------
    >>> as_columns([{"driver_id": 7}, {"driver_id": 8}])
    {'driver_id': [7, 8]}
    """
    if isinstance(entity_rows, Mapping):
        return {name: list(values) for name, values in entity_rows.items()}
    if isinstance(entity_rows, list | tuple):
        return _columns_of(entity_rows)
    from headrace.platform.labels import as_frame

    return as_frame(entity_rows, "entity rows").to_dict(as_series=False)


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(rows[0]) if rows else []
    for place, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            different = ", ".join(sorted(row.keys() ^ rows[0].keys()))
            raise DefinitionError(f"request: row {place} and row 0 do not have the same columns: {different}.")
    return {name: [row[name] for row in rows] for name in names}


def _beside(parts: list[Rows], n: int) -> Rows:
    """What views answered, one after the other: a row for each of `n` entities."""
    if len(parts) == 1:
        return parts[0]
    if not parts:  # a service may have on-demand features alone, of what requests bring
        return [()] * n
    if all(map(_is_repeated, parts)):  # as statuses mostly are: who counts them sees at once that all are the same
        return [tuple(chain.from_iterable(rows[0] for rows in parts))] * len(parts[0])
    return [tuple(chain.from_iterable(each)) for each in zip(*parts, strict=True)]


def _is_repeated(rows: Rows) -> bool:
    return bool(rows) and all(map(is_, rows, repeat(rows[0])))


def _joined(rows: Rows, columns: Mapping[str, Sequence[Any]]) -> Rows:
    return [one + other for one, other in zip(rows, zip(*columns.values(), strict=True), strict=True)]


def _same_version(one: Served, other: Served) -> bool:
    """Whether two heads show the same layers of the same records, and nobody else wrote one between them."""
    mine, others = one.head, other.head
    return one is other or (
        mine.fingerprint == others.fingerprint and mine.stamp == others.stamp and mine.token == others.token
    )


def _same_definition(one: Served, other: Served) -> bool:
    return one is other or one.head.fingerprint == other.head.fingerprint
