"""Reading one view's records: from entities to keys of the store, and from records to values."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import is_, itemgetter
from typing import TYPE_CHECKING, Any, Final

from headrace.definitions.fingerprint import view_fingerprint
from headrace.errors import DefinitionError, NotAppliedError, OnlineStoreError
from headrace.online.record_keys import MIDDLE, NUMBER, record_key, record_prefix
from headrace.platform.online_heads import Head, head_key, namespace_key
from headrace.timeline.packed import INCOMPLETE, Answers, Reader
from headrace.timeline.packed_types import CorruptRecordError

if TYPE_CHECKING:
    from headrace.definitions.views import Selection
    from headrace.types import DataType

Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]
_WHOLE: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Served:
    """A view as its head says, ready for reading.

    Parameters
    ----------
    value : bytes
        The head as it was in the store.
    head : Head
        What it says.
    reader : Reader
        Of its layout.
    pick : callable or None
        Takes a selection's features out of all of them; None where that is all of them.
    types : tuple of DataType
        Those of the selection's features.
    """

    value: bytes
    head: Head
    reader: Reader
    pick: Pick | None
    types: tuple[DataType, ...]


class ViewReader:
    """Reads the features that a service takes from one view.

    Parameters
    ----------
    selection : Selection
        The view and which features.
    location : str
        The store's, for messages.
    """

    def __init__(self, selection: Selection, location: str) -> None:
        self.selection, self.location = selection, location
        self.view = selection.view
        pinned = selection.version is not None  # then the view is as it was defined for that version
        self.head_key = namespace_key(view_fingerprint(self.view)) if pinned else head_key(self.view.name)
        self.columns = list(selection.key_columns.values())
        self.served: Served | None = None

    def at(self, value: bytes | None) -> Served:
        """What a head in the store says; kept for the next time.

        Raises
        ------
        NotAppliedError
            If there is none, or what is served is not what the service needs.
        """
        known = self.served
        if known is None or value != known.value:
            self.served = known = self._served(value)
        return known

    def keys(self, served: Served, entities: Mapping[str, Sequence[Any]], n: int) -> list[bytes | None]:
        """The keys of the entities' records; None where a key is null.

        Raises
        ------
        DefinitionError
            If a value is not of its key's type.
        """
        head = served.head
        if not self.columns:
            return [record_prefix(head.fingerprint)] * n
        values = [entities[column] for column in self.columns]
        if head.masks:
            from headrace.platform.online_masking import masked

            values = masked(head, self.columns, values)
        types = head.stored_keys
        try:
            if len(types) == 1 and types[0].is_integer and types[0].name != "UInt64":
                return _whole_keys(head.fingerprint, values[0], types)
            return [record_key(head.fingerprint, row, types) for row in zip(*values, strict=True)]
        except DefinitionError:
            raise self._wrong_value(types, values) from None

    def answers(self, served: Served, records: Sequence[bytes | None], time_us: int) -> Answers:
        """What the records say at a time, of the selection's features.

        Raises
        ------
        OnlineStoreError
            If a record is damaged.
        """
        head, pick = served.head, served.pick
        n, width = len(records), len(served.types)
        if time_us < head.complete_from:
            return Answers([(None,) * width] * n, [(INCOMPLETE,) * width] * n, [None] * n)
        try:
            found = served.reader.many(records, (head.generation, head.epoch), time_us)
        except CorruptRecordError as error:
            raise OnlineStoreError(
                f"{self.view.place}: {self.location} is damaged: {error}. "
                f"Run: headrace materialize {self.view.name} --whole"
            ) from error
        if pick is None:
            return found
        return Answers([*map(pick, found.values)], _each(pick, found.statuses), found.event_times)

    def _served(self, value: bytes | None) -> Served:
        if value is None or not self.view.online:
            raise self._not_there()
        try:
            head = Head.unpack(value)
        except CorruptRecordError as error:
            raise OnlineStoreError(
                f"{self.view.place}: {self.location}: {error}. Run: headrace materialize {self.view.name} --whole"
            ) from error
        types = {field.name: field.dtype for field in head.layout.fields}
        for feature in self.selection.feature_names:
            if feature not in types:
                raise NotAppliedError(
                    f"{self.view.place}: feature '{feature}' was added and has not been backfilled yet; version "
                    f"{head.number}, which is served, does not have it. Run: headrace backfill {self.view.name}"
                )
        pick = picking(list(types), self.selection.feature_names)
        return Served(value, head, head.layout.reader(), pick, tuple(types[f] for f in self.selection.feature_names))

    def _not_there(self) -> NotAppliedError:
        name = self.view.name
        if not self.view.online:
            return NotAppliedError(f"{self.view.place} is not served online: it is defined with online=False.")
        return NotAppliedError(
            f"{self.view.place}: {self.location} has nothing of it. Run: headrace materialize {name}; or first, if it "
            f"has never been backfilled: headrace backfill {name}"
        )

    def _wrong_value(self, types: tuple[DataType, ...], values: list[Sequence[Any]]) -> DefinitionError:
        for column, key, dtype, column_values in zip(self.columns, self.view.entity_keys, types, values, strict=True):
            for row, value in enumerate(column_values):
                try:
                    record_key("", (value,), (dtype,))
                except DefinitionError:
                    return DefinitionError(
                        f"request, column '{column}', row {row}: {value!r} is no {dtype}, which key '{key}' of "
                        f"{self.view.place} is."
                    )
        raise AssertionError("some value is wrong")


def _each(pick: Pick, rows: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """What is picked out of each; where all rows are one, as statuses mostly are, they stay one."""
    if rows and all(map(is_, rows, repeat(rows[0]))):
        return [pick(rows[0])] * len(rows)
    return [*map(pick, rows)]


def _whole_keys(fingerprint: str, values: Sequence[Any], types: tuple[DataType, ...]) -> list[bytes | None]:
    """As `record_key` gives them, in a third of the time."""
    begin, pack = record_prefix(fingerprint) + NUMBER, _WHOLE.pack
    try:
        return [
            begin + pack(value + MIDDLE) if type(value) is int else record_key(fingerprint, (value,), types)
            for value in values
        ]
    except struct.error:
        raise DefinitionError("a number of more than 64 bits") from None


def picking(names: Sequence[str], wanted: Sequence[str]) -> Pick | None:
    """What takes the wanted ones, in their order, out of values with names; None where it would take all as they are.

    Examples
    --------
    >>> picking(["a", "b", "c"], ["c", "a"])((1, 2, 3))
    (3, 1)
    """
    places = [names.index(name) for name in wanted]
    if places == list(range(len(names))):
        return None
    if len(places) == 1:
        (place,) = places
        return lambda values: (values[place],)
    return itemgetter(*places)
