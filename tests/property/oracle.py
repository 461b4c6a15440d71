"""The value of a view at a time, by brute force: what the definitions mean, in plain Python.

Nothing here is shared with the engine: rows are looked at one by one for each question. Times are integer
microseconds. Rows are dicts of the source's columns; those of a change source have ``_op`` and ``_known``,
those of a snapshot source ``_snapshot`` (a date).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from headrace.definitions.aggregations import Aggregation
from headrace.definitions.sources import ChangeSource, SnapshotSource, as_columns
from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Hopping, Lifetime, Sliding

DAY = 86_400_000_000
Row = Mapping[str, Any]
Conditions = Mapping[str, Callable[[Row], bool]]
"""What each ``where`` text means, in Python."""


@dataclass(frozen=True)
class Version:
    """A row as it counts: it happened at t, was known at a, and until when (None: for ever)."""

    row: Row
    t: int
    a: int
    ended_known: int | None
    order: tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """A feature's value, and the values of the window's rows, which bound a float's error."""

    value: Any
    present: list[Any]


def floor(time: int, multiple: int, offset: int = 0) -> int:
    return (time - offset) // multiple * multiple + offset


def value_at(
    view: FeatureView, rows: Sequence[Row], key: Row, time: int, conditions: Conditions, known: str = "then"
) -> dict[str, Any] | None:
    """An `Answer` for each feature of an entity at a time, and ``event_time``; None where it was never seen."""
    time = floor(time, view.resolution_us) if view.resolution_us else time
    mine = [v for v in versions(view, rows, known) if belongs(view, v.row, key, conditions)]
    if not any(seen_by(view, v, time) for v in mine):
        return None
    live = sorted((v for v in mine if counts(view, v, time)), key=lambda v: v.order)
    values = {name: evaluated(view, f, live, time, conditions) for name, f in view.features.items()}
    return {"event_time": live[-1].t if live else None, **values}


def belongs(view: FeatureView, row: Row, key: Row, conditions: Conditions) -> bool:
    inside = view.where is None or conditions[str(view.where)](row)
    return inside and all(row[column] is not None and row[column] == key[k] for k, column in view.key_columns.items())


def visible(view: FeatureView, known: int, time: int) -> bool:
    return known <= time if view.source.inclusive else known < time


def counts(view: FeatureView, v: Version, time: int) -> bool:
    ended = v.ended_known is not None and visible(view, v.ended_known, time)
    return visible(view, max(v.t, v.a), time) and not ended


def seen_by(view: FeatureView, v: Version, time: int) -> bool:
    """Whether it counted at any time up to now: it was not ended before it could be seen."""
    k = max(v.t, v.a)
    return visible(view, k, time) and (v.ended_known is None or v.ended_known > k)


def versions(view: FeatureView, rows: Sequence[Row], known: str) -> list[Version]:
    if isinstance(view.source, ChangeSource):
        return change_versions(view, rows, known)
    if isinstance(view.source, SnapshotSource):
        return snapshot_versions(view, rows, known)
    return [event_version(view, row, known) for row in rows]


def event_version(view: FeatureView, row: Row, known: str) -> Version:
    source = view.source
    t = happened(row[str(source.event_time)])
    measured = row[source.available_time] if source.available_time else None
    a = t if known == "now" else (t if measured is None else measured) + source.known_after_us
    return Version(row, t, a, None, order_of(view, row, t, a, row[source.sequence] if source.sequence else None))


def change_versions(view: FeatureView, rows: Sequence[Row], known: str) -> list[Version]:
    source = view.source
    found = []
    for place, row in enumerate(rows):
        if row["_op"] in ("delete", "truncate"):
            continue
        later = [r["_known"] for r in rows[place + 1 :] if r["_op"] == "truncate" or same_key(source, r, row)]
        if known == "now" and later:
            continue
        t = happened(row[str(source.event_time)])
        a = t if known == "now" else row["_known"] + source.known_after_us
        ended = min(later) + source.known_after_us if later else None
        found.append(Version(row, t, a, ended, order_of(view, row, t, a, place)))
    return found


def same_key(source: Any, one: Row, other: Row) -> bool:
    return all(one[column] == other[column] for column in as_columns(source.primary_key))


def snapshot_versions(view: FeatureView, rows: Sequence[Row], known: str) -> list[Version]:
    source = view.source
    after = 0 if known == "now" else source.known_after_us
    days = sorted({row["_snapshot"] for row in rows})
    following = dict(pairwise(days))
    found = []
    for row in rows:
        a = happened(row["_snapshot"]) + after
        t = happened(row[source.event_time]) if source.event_time else happened(row["_snapshot"])
        later = following.get(row["_snapshot"])
        ended = None if later is None else happened(later) + after
        found.append(Version(row, t, a, ended, order_of(view, row, t, a, None)))
    return found


def happened(value: int | date) -> int:
    """A day means its last microsecond."""
    return (value.toordinal() - date(1970, 1, 1).toordinal() + 1) * DAY - 1 if isinstance(value, date) else value


def order_of(view: FeatureView, row: Row, t: int, a: int, sequence: Any) -> tuple[Any, ...]:
    identity = tuple((row[c] is not None, row[c]) for c in view.source.identity)
    return (t, a, (sequence is not None, sequence), *identity)


def inside(view: FeatureView, feature: Aggregation, v: Version, time: int) -> bool:
    match feature.window:
        case Lifetime():
            return True
        case Sliding(size, hop, offset):
            return v.t >= floor(time - size, hop, offset)
        case Hopping(size, hop, offset):
            end = floor(time - view.source.max_lateness_us, hop, offset)
            return end - size <= v.t < end


def evaluated(
    view: FeatureView, feature: Aggregation, live: Sequence[Version], time: int, conditions: Conditions
) -> Answer:
    rows = [
        v.row
        for v in live
        if inside(view, feature, v, time) and (feature.where is None or conditions[feature.where](v.row))
    ]
    values = rows if feature.column is None else [without_non_finite(row[feature.column]) for row in rows]
    present = [value for value in values if value is not None]
    result = AGGREGATES[feature.function](feature, values, present)
    return Answer(feature.default if result is None else result, present)


def without_non_finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def taken(feature: Aggregation, values: list[Any], present: list[Any]) -> list[Any]:
    return present if feature.skip_nulls else values


def exactly(values: list[Any]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction(0))


def summed(feature: Aggregation, values: list[Any], present: list[Any]) -> Any:
    if not present:
        return None
    return float(exactly(present)) if isinstance(present[0], float) else sum(present, type(present[0])(0))


def mean(feature: Aggregation, values: list[Any], present: list[Any]) -> float | None:
    return float(exactly(present) / len(present)) if present else None


def variance(feature: Aggregation, values: list[Any], present: list[Any]) -> float | None:
    n = len(present)
    if n <= feature.ddof:
        return None
    middle = exactly(present) / n
    return float(sum(((Fraction(v) - middle) ** 2 for v in present), Fraction(0)) / (n - feature.ddof))


def stddev(feature: Aggregation, values: list[Any], present: list[Any]) -> float | None:
    found = variance(feature, values, present)
    return None if found is None else math.sqrt(found)


def quantile(feature: Aggregation, values: list[Any], present: list[Any]) -> float | None:
    if not present:
        return None
    return float(sorted(present)[math.floor((feature.q or 0.0) * (len(present) - 1))])


def number(value: Any) -> Any:
    """Equal numbers are one value, whatever the sign of their zero."""
    return Fraction(value) if isinstance(value, float | int | Decimal) else value


AGGREGATES: dict[str, Callable[[Aggregation, list[Any], list[Any]], Any]] = {
    "last": lambda f, values, present: next(reversed(taken(f, values, present)), None),
    "first": lambda f, values, present: next(iter(taken(f, values, present)), None),
    "last_n": lambda f, values, present: taken(f, values, present)[::-1][: f.n] or None,
    "count": lambda f, values, present: len(present),
    "sum": summed,
    "mean": mean,
    "variance": variance,
    "stddev": stddev,
    "min": lambda f, values, present: min(present, default=None),
    "max": lambda f, values, present: max(present, default=None),
    "count_distinct": lambda f, values, present: len({number(v) for v in present}),
    "approx_count_distinct": lambda f, values, present: len({number(v) for v in present}),
    "quantile": quantile,
}
