"""An answer as Feast's clients read it: columns, keys first, then features in the order of the request.

Feast's server sorts features; here they come as they were asked for. JSON has no name for some values, so a time is
ISO 8601 in UTC, a Decimal is text (every digit is kept), bytes are base64, and an infinite number is null. The
metadata say what Feast's do not: for which time the answer is, and of each view its version, through when it is
computed and when that was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headrace.timeline.packed import PRESENT, STATUSES

if TYPE_CHECKING:
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.platform.online_heads import Head

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NO_TIME: Final = "1970-01-01T00:00:00Z"
"""The time of what has none, as in Feast, whose clients parse each one."""
_encode: Final = msgspec.json.Encoder().encode
_NEXT: Final = -len(b',{"values":')


class Column(msgspec.Struct, frozen=True):
    """One column of an answer, a place an entity.

    Parameters
    ----------
    values : sequence
        The values; None unless the status is ``PRESENT`` or ``STALE``.
    statuses : sequence of str
        ``PRESENT``, ``NULL_VALUE``, ``NOT_FOUND``, ``OUTSIDE_MAX_AGE``, ``INCOMPLETE``, ``FAILED`` or ``STALE``.
    event_timestamps : sequence of str or datetime
        When the newest row behind the value happened; `NO_TIME` for keys and where there is none.
    """

    values: Sequence[Any]
    statuses: Sequence[str]
    event_timestamps: Sequence[str | datetime]


class Response(msgspec.Struct, frozen=True):
    """The body of an answer."""

    metadata: Mapping[str, Any]
    results: Sequence[Column]


class Shape:
    """What answers to one question have in common, written once.

    Parameters
    ----------
    keys : sequence of str
        The columns of the entities' keys.
    columns : sequence of str
        The wanted columns of the answer, in their order.
    names : sequence of str
        What each is called.
    """

    def __init__(self, keys: Sequence[str], columns: Sequence[str], names: Sequence[str]) -> None:
        self._keys, self._columns, self.names = tuple(keys), tuple(columns), (*keys, *names)
        self.named = dict(zip(columns, names, strict=True))
        self._begin = b'{"metadata":{"feature_names":' + _encode(self.names) + b',"at":'
        self._places: tuple[tuple[str, ...], list[int]] = (), []
        self._heads: tuple[list[Head], bytes] = [], b"{}"

    def json(self, answer: OnlineAnswer, keys: Mapping[str, Sequence[Any]]) -> bytes:
        """An answer as JSON, put together from columns."""
        n, rows = len(answer.rows), answer.rows
        columns = [*zip(*rows, strict=True)] or [()] * len(answer.types)
        present = _all_present(n)
        plain = b',"statuses":' + present + b',"event_timestamps":' + _no_times(n) + b'},{"values":'
        parts = [_encode(keys[name]) + plain for name in self._keys]
        codes = self._codes(answer)
        known, times = None, b""
        for place in self.places_in(answer):
            own = answer.time_columns[place]
            if own is not known:  # features of one view have the same times
                known, times = own, b',"event_timestamps":' + _times_of(own) + b'},{"values":'
            statuses = _encode([STATUSES[code] for code in codes[place]]) if codes and any(codes[place]) else present
            parts += [_encode(columns[place]), b',"statuses":', statuses, times]
        parts[-1] = parts[-1][:_NEXT]
        return b"".join([self._begin, self._metadata(answer), b'},"results":[{"values":', *parts, b"]}"])

    def _codes(self, answer: OnlineAnswer) -> list[tuple[int, ...]]:
        """The statuses by column; none where all values are there, as mostly."""
        statuses = answer.statuses
        if not statuses:
            return [()] * len(answer.types)
        is_plain = not any(statuses[0]) and all(map(is_, statuses, repeat(statuses[0])))
        return [] if is_plain else [*zip(*statuses, strict=True)]

    def plain(self, answer: OnlineAnswer, keys: Mapping[str, Sequence[Any]]) -> Response:
        """An answer for an encoder of another format."""
        n = len(answer.rows)
        results = [Column(keys[name], [STATUSES[PRESENT]] * n, [NO_TIME] * n) for name in self._keys]
        results += [
            Column(
                [row[place] for row in answer.rows],
                [STATUSES[row[place]] for row in answer.statuses],
                [*map(_time, answer.time_columns[place])],
            )
            for place in self.places_in(answer)
        ]
        metadata = {"feature_names": self.names, "at": _time(answer.at), "views": views_plain(answer.heads)}
        return Response(metadata | self._failures(answer), results)

    def _metadata(self, answer: OnlineAnswer) -> bytes:
        heads = [*answer.heads.values()]
        known, text = self._heads
        if len(known) != len(heads) or not all(map(is_, known, heads)):
            text = _encode(views_plain(answer.heads))
            self._heads = heads, text
        failures = b',"failures":' + _encode(self._failures(answer)["failures"]) if answer.failures else b""
        return _encode(_time(answer.at)) + b',"views":' + text + failures

    def _failures(self, answer: OnlineAnswer) -> dict[str, Any]:
        """Why on-demand features failed, by the names that they have in the answer."""
        failures = {name: answer.failures[column] for column, name in self.named.items() if column in answer.failures}
        return {"failures": failures} if failures else {}

    def places_in(self, answer: OnlineAnswer) -> list[int]:
        """Where the wanted columns are in an answer."""
        names = answer.names
        if self._places[0] != names:
            places = {column: place for place, column in enumerate(names)}
            self._places = names, [places[column] for column in self._columns]
        return self._places[1]


def views_plain(heads: Mapping[str, Head]) -> dict[str, Any]:
    """What an answer says of the views that it was read from.

    Parameters
    ----------
    heads : mapping of str to Head
        What is served of each, by its name.
    """
    return {
        view: {
            "version": head.number,
            "frontier": _time(head.frontier),
            "written_at": _time(head.written_at),
            "stream": head.stream or None,
        }
        for view, head in heads.items()
    }


def _times_of(times: Sequence[int | None]) -> bytes:
    """As `_time` gives each."""
    return b"[" + b",".join(map(_time_text, times)) + b"]"


@lru_cache(maxsize=1 << 16)
def _time_text(time_us: int | None) -> bytes:
    """An entity is asked for more often than it changes: most times were written before."""
    return _encode(_time(time_us))


@lru_cache(maxsize=256)
def _all_present(n: int) -> bytes:
    return _encode([STATUSES[PRESENT]] * n)


@lru_cache(maxsize=256)
def _no_times(n: int) -> bytes:
    return _encode([NO_TIME] * n)


def _time(time_us: int | None) -> str | datetime:
    return NO_TIME if time_us is None else EPOCH + timedelta(0, 0, time_us)
