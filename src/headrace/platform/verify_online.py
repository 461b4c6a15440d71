"""What the online store says at points of time: each record evaluated as a reader would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headrace.engines.polars_types import to_polars
from headrace.errors import OnlineStoreError
from headrace.online.base import expires_at
from headrace.online.expiry import KEPT_BEFORE
from headrace.online.packing_keys import record_keys
from headrace.platform.online_heads import Head, head_key
from headrace.platform.verify_values import DAMAGED, Values
from headrace.timeline.packed import INCOMPLETE, Answer, Reader
from headrace.timeline.packed_types import CorruptRecordError

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.platform.verify_values import Points
    from headrace.timeline.arrays import Bools, Ints

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class OnlineRecords:
    """A view's head and the records of some entities, from one state of the store.

    Parameters
    ----------
    head : Head
        What is served.
    records : list of bytes or None
        One an entity.
    """

    head: Head
    records: list[bytes | None]

    @property
    def answers_from(self) -> int:
        """From when on every record has to answer, in microseconds."""
        cut = min(self.head.written_at, self.head.frontier) - KEPT_BEFORE
        return max(cut, self.head.complete_from)

    def expires_at(self) -> Ints:
        """When each record expires by its own header, in microseconds; 0 for never, and where there is none."""
        ends = [0 if record is None else expires_at(record) for record in self.records]
        return np.array(ends, dtype=np.int64)

    def missing(self) -> Bools:
        """Which entities have no record."""
        return np.array([record is None for record in self.records], dtype=bool)

    def answers(self, features: Sequence[str], points: Points) -> NDArray[np.bool_]:
        """For each point and feature, whether the store has to answer."""
        known = {field.name for field in self.head.layout.fields}
        there = np.array([name in known for name in features])
        return np.asarray((points.time >= self.answers_from)[:, None] & there[None, :])

    def values(self, view: FeatureView, points: Points) -> Values:
        """The values of a view's features; `INCOMPLETE` where a record of another definition does not have one."""
        reader = self.head.layout.reader()
        pairs = zip(points.entity.tolist(), points.time.tolist(), strict=True)
        answers = [self._at(reader, entity, time_us) for entity, time_us in pairs]
        names = [field.name for field in self.head.layout.fields]
        statuses = np.array([answer.statuses for answer in answers], dtype=np.uint8).reshape(len(points), len(names))
        codes = np.full((len(points), len(view.features)), INCOMPLETE, dtype=np.uint8)
        columns = []
        for place, name in enumerate(view.features):
            if name in names:
                own = names.index(name)
                codes[:, place] = statuses[:, own]
                dtype = to_polars(self.head.layout.fields[own].dtype)
                columns.append(pl.Series(name, [answer.values[own] for answer in answers], dtype=dtype))
            else:
                columns.append(pl.Series(name, [None] * len(points), dtype=pl.Null))
        return Values(pl.DataFrame(columns), codes)

    def _at(self, reader: Reader, entity: int, time_us: int) -> Answer:
        try:
            return reader.at(self.records[entity], self.head.stamp, time_us)
        except CorruptRecordError:
            n = len(self.head.layout.fields)
            return Answer((DAMAGED,) * n, None, (None,) * n)


def online_records(context: Context, view: FeatureView, entities: pl.DataFrame) -> OnlineRecords | None:
    """The records of some entities; None where nothing of the view is online.

    Raises
    ------
    OnlineStoreError
        If the store can't be read.
    """
    if not view.online:
        return None
    store, key = context.online, head_key(view.name)
    (value,) = store.get_many([key])
    for _ in range(_ATTEMPTS):
        if value is None:
            return None
        head = _head(context, view, value)
        keys = record_keys(head.fingerprint, entities)
        found = store.get_many([key, *(each for each in keys if each is not None)])
        after = found[0] if store.reads_one_state else store.get_many([key])[0]
        if found[0] == value == after:
            records = iter(found[1:])
            return OnlineRecords(head, [None if each is None else next(records) for each in keys])
        value = after
    raise OnlineStoreError(
        f"{view.place}: {store.location} was written {_ATTEMPTS} times while it was read. Run the same command again."
    )


def _head(context: Context, view: FeatureView, value: bytes) -> Head:
    try:
        return Head.unpack(value)
    except CorruptRecordError as error:
        raise OnlineStoreError(
            f"{view.place}: {context.online.location}: {error}. Run: headrace materialize {view.name} --whole"
        ) from error
