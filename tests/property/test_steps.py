"""The engine's steps against the oracle, over all aggregates, windows and kinds of sources."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

import headrace as hr
from headrace.engines.base import Known
from headrace.testing import steps, steps_in_partitions
from tests.property.agreement import agrees, micros
from tests.property.oracle import value_at
from tests.property.strategies import CONDITIONS, KINDS, WINDOWS, rows, views

CASES = [(window, kind) for window in WINDOWS for kind in KINDS]


def index(found: pl.DataFrame, view: hr.FeatureView) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Steps by entity, oldest first."""
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in found.iter_rows(named=True):
        by_key.setdefault(tuple(row[key] for key in view.entity_keys), []).append(row)
    return by_key


def in_force(mine: list[dict[str, Any]], time: int) -> dict[str, Any] | None:
    """The step with the greatest ``valid_from <= time``."""
    return next((row for row in reversed(mine) if micros(row["valid_from"]) <= time), None)


def moments(found: pl.DataFrame, given_rows: list[dict[str, Any]]) -> set[int]:
    """Just before, at and just after each step, and each time that a row mentions."""
    spots = {micros(step) for step in found["valid_from"].to_list()}
    spots |= {row[name] for row in given_rows for name in ("t", "a", "_known") if isinstance(row.get(name), int)}
    return {spot + tick for spot in spots for tick in (-1, 0, 1)}


def entities(view: hr.FeatureView) -> list[dict[str, Any]]:
    if not view.entity_keys:
        return [{}]
    return [{"k1": k1, "k2": k2} for k1 in (0, 1, 2) for k2 in ("u", "v")]


def assert_right(view: hr.FeatureView, given_rows: list[dict[str, Any]], found: pl.DataFrame, known: str) -> None:
    by_key = index(found, view)
    for key in entities(view):
        mine = by_key.get(tuple(key.values()), [])
        for time in sorted(moments(found, given_rows)):
            step, wanted = in_force(mine, time), value_at(view, given_rows, key, time, CONDITIONS, known)
            where = f"{key} at {time}"
            assert (step is None) == (wanted is None), f"{where}: step {step}, wanted {wanted}"
            if step is None or wanted is None:
                continue
            assert micros(step["event_time"]) == wanted["event_time"], f"{where}: {step}, wanted {wanted}"
            for name, feature in view.features.items():
                assert agrees(feature, step[name], wanted[name]), f"{where}: {name} {step[name]}, wanted {wanted[name]}"


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_steps_are_what_the_definitions_mean(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    known: Known = data.draw(st.sampled_from(["then", "then", "now"]), label="known")
    found = steps(view, given_rows, known=known)
    note(str(found.select("valid_from", "event_time")))
    assert_right(view, given_rows, found, known)


@pytest.mark.parametrize(("window", "kind"), CASES)
@given(data=st.data())
def test_steps_span_by_span_are_the_same(window: str, kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS[window], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    whole = steps(view, given_rows)
    spots = sorted({micros(t) + tick for t in whole["valid_from"].to_list() for tick in (-1, 0, 1)})
    cuts = data.draw(st.lists(st.sampled_from(spots), max_size=4, unique=True), label="cuts") if spots else []
    found = steps_in_partitions(view, given_rows, sorted(cuts))
    assert found.select(*view.entity_keys, "valid_from").equals(whole.select(*view.entity_keys, "valid_from"))
    assert_right(view, given_rows, found, "then")


@pytest.mark.parametrize("kind", ["event", "snapshot"])
@given(data=st.data())
def test_the_order_of_rows_does_not_matter(kind: str, data: st.DataObject) -> None:
    view = data.draw(views(WINDOWS["sliding"], kind), label="view")
    given_rows = data.draw(rows(kind), label="rows")
    again = data.draw(st.permutations(given_rows), label="again")
    assert (
        steps(view, given_rows)
        .select("valid_from", "event_time", "last_x", "sum_n")
        .equals(steps(view, again).select("valid_from", "event_time", "last_x", "sum_n"))
    )
