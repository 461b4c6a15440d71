"""An answer as Feast's clients read it: columns, keys first, then features in the order of the request.

Feast's server sorts features; here they come as they were asked for. JSON has no name for some values, so a time is
ISO 8601 in UTC, a Decimal is text (every digit is kept), bytes are base64, and an infinite number is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headrace.timeline.packed import PRESENT, STATUSES

if TYPE_CHECKING:
    from headrace.platform.online_answer import OnlineAnswer

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME: Final = "1970-01-01T00:00:00Z"
"""The time of what has none, as in Feast, whose clients parse each one."""


class Column(msgspec.Struct, frozen=True):
    """One column of an answer, a place an entity.

    Parameters
    ----------
    values : sequence
        The values; None unless the status is ``PRESENT``.
    statuses : sequence of str
        ``PRESENT``, ``NULL_VALUE``, ``NOT_FOUND``, ``OUTSIDE_MAX_AGE`` or ``INCOMPLETE``.
    event_timestamps : sequence of str or datetime
        When the newest row behind the value happened; `NO_TIME` for keys and where there is none.
    """

    values: Sequence[Any]
    statuses: Sequence[str]
    event_timestamps: Sequence[str | datetime]


class _Metadata(msgspec.Struct, frozen=True):
    feature_names: Sequence[str]


class Response(msgspec.Struct, frozen=True):
    """The body of an answer."""

    metadata: _Metadata
    results: Sequence[Column]


def encoded(answer: OnlineAnswer, keys: Mapping[str, Sequence[Any]], names: Mapping[str, str]) -> bytes:
    """An answer as JSON.

    Parameters
    ----------
    answer : OnlineAnswer
        What was read.
    keys : mapping of str to sequence
        The columns of the entities' keys, as they were asked for.
    names : mapping of str to str
        The wanted columns of the answer, in their order, and what each is called.
    """
    places = {column: place for place, column in enumerate(answer.names)}
    results = [_key_column(values) for values in keys.values()]
    results += [_feature_column(answer, places[column]) for column in names]
    return msgspec.json.encode(Response(_Metadata((*keys, *names.values())), results))


def _key_column(values: Sequence[Any]) -> Column:
    return Column(values, [STATUSES[PRESENT]] * len(values), [NO_TIME] * len(values))


def _feature_column(answer: OnlineAnswer, place: int) -> Column:
    return Column(
        [row[place] for row in answer.rows],
        [STATUSES[row[place]] for row in answer.statuses],
        [_time(row[place]) for row in answer.event_times],
    )


def _time(event_time: int | None) -> str | datetime:
    return NO_TIME if event_time is None else _EPOCH + timedelta(microseconds=event_time)
