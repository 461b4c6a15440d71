"""Times at which a value may change, and all that differs between the engine and the oracle there.

The times come from the rows and the windows, not from the engine's steps: a step that it forgot would
otherwise never be looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import polars as pl

import headrace as hr
from headrace.definitions.windows import Hopping, Sliding, Window
from tests.property.agreement import agrees, micros
from tests.property.oracle import Row, Version, floor, value_at, versions
from tests.property.strategies import CONDITIONS


def boundaries(view: hr.FeatureView, rows: Sequence[Row], known: str) -> list[int]:
    """Around everything that can happen to a row, each also rounded up to the resolution, a microsecond either side."""
    windows = {feature.window for feature in view.features.values()}
    spots = {spot for v in versions(view, rows, known) for spot in _spots(view, windows, v)}
    if view.resolution_us:
        spots |= {floor(spot, view.resolution_us) + view.resolution_us for spot in spots}
    return sorted({spot + tick for spot in spots for tick in (-1, 0, 1)})


def _spots(view: hr.FeatureView, windows: Iterable[Window], v: Version) -> Iterator[int]:
    yield from (v.t, v.a, max(v.t, v.a))
    if v.ended_known is not None:
        yield v.ended_known
    for window in windows:
        if isinstance(window, Sliding):
            yield floor(v.t, window.hop, window.offset) + window.hop + window.size
        if isinstance(window, Hopping):
            due = floor(v.t, window.hop, window.offset) + window.hop + view.source.max_lateness_us
            yield from (due, due + window.size)


def entities(view: hr.FeatureView, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Every entity that a row names, and one that none does."""
    columns = view.key_columns
    if not columns:
        return [{}]
    named = {tuple(row[column] for column in columns.values()) for row in rows}
    keys = sorted(key for key in named if None not in key)
    return [dict(zip(columns, key, strict=True)) for key in [*keys, (-7, "nobody")]]


def differences(
    view: hr.FeatureView, rows: Sequence[Row], found: pl.DataFrame, times: Sequence[int], known: str = "then"
) -> list[str]:
    """What the steps answer otherwise than the oracle at some times, one line each."""
    stepwise = _by_entity(found, view)
    wrong: list[str] = []
    for key in entities(view, rows):
        mine = stepwise.get(tuple(key.values()), [])
        for time in times:
            step = next((s for s in reversed(mine) if micros(s["valid_from"]) <= time), None)
            wrong += _compared(view, f"{key} at {time}", step, value_at(view, rows, key, time, CONDITIONS, known))
    return wrong


def _by_entity(found: pl.DataFrame, view: hr.FeatureView) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for step in found.iter_rows(named=True):
        grouped.setdefault(tuple(step[key] for key in view.entity_keys), []).append(step)
    return grouped


def _compared(
    view: hr.FeatureView, place: str, step: dict[str, Any] | None, wanted: dict[str, Any] | None
) -> Iterator[str]:
    if step is None or wanted is None:
        if step is not wanted:
            yield f"{place}: found {step}, wanted {wanted}"
        return
    if micros(step["event_time"]) != wanted["event_time"]:
        yield f"{place}: event_time {micros(step['event_time'])}, wanted {wanted['event_time']}"
    for name, feature in view.features.items():
        if not agrees(feature, step[name], wanted[name]):
            yield f"{place}: {name} {step[name]!r}, wanted {wanted[name].value!r}"
