"""An answer's body as `Features`; checked, as a wrong value is worse than none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from headrace_client.columns import Columns
from headrace_client.errors import InvalidRequest, ServerFailed
from headrace_client.features import Column, Features, View
from headrace_client.types import event_time, instant, typed

_UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)


def features_of(body: bytes, entities: Columns, types: Mapping[str, str]) -> Features:
    """Read an answer of ``POST /get-online-features``.

    Parameters
    ----------
    body : bytes
        The answer.
    entities : mapping of str to list
        The columns that were asked with.
    types : mapping of str to str
        The types of features by ``view__feature`` and by their bare names, as far as they are known.

    Raises
    ------
    ServerFailed
        If it is no such answer, or not one to these entities.
    """
    try:
        found = json.loads(body)
        names, results = found["metadata"]["feature_names"], found["results"]
        columns = [_column(result, types.get(name)) for name, result in zip(names, results, strict=True)]
        metadata = found["metadata"]
        views = {name: _view(view) for name, view in metadata.get("views", {}).items()}
        at = instant(metadata["at"]) if metadata.get("at") else datetime.now(UTC)
    except _UNREADABLE as error:
        raise ServerFailed(f"what answered is no feature server, or another version of one: {error!r}.") from error
    row_count = _row_count(columns, entities)
    keys = _leading_keys(names, entities)
    features = dict(zip(names[keys:], columns[keys:], strict=True))
    if both := features.keys() & entities.keys():
        raise InvalidRequest(f"'{min(both)}' is a feature and a key. Ask with full_names=True, to tell them apart.")
    return Features(entities, features, at, views, row_count, metadata.get("failures", {}))


def _column(result: Mapping[str, Any], type_name: str | None) -> Column:
    values = result["values"]
    statuses = result.get("statuses", ["PRESENT"] * len(values))
    times = result.get("event_timestamps", [None] * len(values))
    if not len(values) == len(statuses) == len(times):
        raise ValueError(f"there are {len(values)} values, {len(statuses)} statuses and {len(times)} times")
    return Column(typed(values, type_name), statuses, [event_time(text) for text in times])


def _view(found: Mapping[str, Any]) -> View:
    return View(found["version"], event_time(found.get("frontier")), event_time(found.get("written_at")))


def _row_count(columns: list[Column], entities: Columns) -> int:
    counts = {len(column.values) for column in columns}
    asked = {len(values) for values in entities.values()}
    if len(counts | asked) > 1:
        raise ServerFailed(f"{max(asked, default=0):,} entities were asked for, and the answer has {counts}.")
    return max(counts | asked, default=0)


def _leading_keys(names: list[str], entities: Columns) -> int:
    """How many of an answer's first columns only say again what was asked with."""
    for place, name in enumerate(names):
        if name not in entities or name in names[:place]:
            return place
    return len(names)
