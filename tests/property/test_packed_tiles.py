"""Records of tiles against the oracle, over random rows, windows and frontiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import headrace as hr
from headrace.definitions.aggregations import Aggregation
from headrace.definitions.windows import Window
from headrace.engines.base import Carry
from headrace.engines.polars import PolarsEngine
from headrace.online.base import Stamp
from headrace.online.packing import pack_steps
from headrace.online.packing_tiles import pack_shorter, pack_tiles
from headrace.online.record_keys import record_key
from headrace.online.records import with_layer
from headrace.testing import silver
from headrace.timeline.packed import NOT_FOUND, OUTSIDE_MAX_AGE, Answer, Layout
from headrace.timeline.packed_layouts import layout_of, tiles_since
from headrace.timeline.packed_record import STEPS, TILES
from headrace.timeline.packed_types import CorruptRecordError
from headrace.types import BEGINNING, FOREVER
from tests.property.agreement import agrees
from tests.property.oracle import value_at
from tests.property.strategies import CONDITIONS, ENTITY, KEYS, OPTIONS, WINDOWS, rows, source
from tests.property.test_steps import entities, moments

FINGERPRINT = "f" * 16
HEAD = Stamp(3, 1)
EARLY, LATE = BEGINNING // 4, FOREVER // 4
WINDOWED = [name for name in WINDOWS if name != "lifetime"]


def tiled(window: Window) -> dict[str, Aggregation]:
    """Every function that tiles are kept for, on columns of every type it takes."""
    return {
        "rows": hr.count(window=window), "count_x": hr.count("x", window),
        "sum_x": hr.sum("x", window), "sum_n": hr.sum("n", window, default=0), "sum_p": hr.sum("p", window),
        "mean_x": hr.mean("x", window), "mean_n": hr.mean("n", window), "mean_b": hr.mean("b", window),
        "mean_p": hr.mean("p", window), "var_x": hr.variance("x", window), "std_n": hr.stddev("n", window, ddof=0),
        "var_p": hr.variance("p", window), "min_x": hr.min("x", window), "max_x": hr.max("x", window),
        "max_n": hr.max("n", window), "min_d": hr.min("d", window), "max_t": hr.max("t", window),
        "max_p": hr.max("p", window), "default_x": hr.max("x", window, default=-1.5),
    }  # fmt: skip


@dataclass(frozen=True)
class Situation:
    """A view computed through a frontier: its steps until then and those scheduled, and what it carries."""

    view: hr.FeatureView
    known_rows: list[dict[str, Any]]
    steps: pl.DataFrame
    carry: Carry = field(repr=False)
    frontier: int = field(kw_only=True)

    @property
    def since(self) -> int:
        return tiles_since(self.view, self.frontier)

    @property
    def layout(self) -> Layout:
        return layout_of(self.view)

    @property
    def keys(self) -> list[str]:
        return list(self.view.entity_keys)

    def key_of(self, key: Mapping[str, Any]) -> bytes | None:
        return record_key(FINGERPRINT, list(key.values()), list(self.view.entity_keys.values()))


@st.composite
def situations(draw: Any) -> Situation:
    window, other = (WINDOWS[draw(st.sampled_from(WINDOWED))] for _ in range(2))
    where = draw(st.sampled_from([None, *CONDITIONS]))
    features = {
        "last_x": hr.last("x"), "first_s": hr.first("s"), "ever": hr.count(), "kinds": hr.count_distinct("s"),
        **tiled(window),
        "other_n": hr.sum("n", other), "where_x": hr.mean("x", other, where=where),
    }  # fmt: skip
    entity = draw(st.sampled_from([ENTITY, ENTITY, None]))
    view = hr.FeatureView(
        "view", entity=entity, source=source("event", draw(OPTIONS)), features=features, keys=KEYS if entity else {},
        ttl=draw(st.sampled_from([None, "20s"])), resolution=draw(st.sampled_from([None, None, "4s"])),
    )  # fmt: skip
    return computed(view, draw(rows("event")), draw)


def computed(view: hr.FeatureView, given_rows: list[dict[str, Any]], draw: Any) -> Situation:
    frame = silver(view.source, given_rows)
    known = frame["_hr_known"].dt.epoch("us").to_list()
    spots = sorted({time + tick for time in (*known, 0, 27_000_000) for tick in (-1, 0, 1, 2_000_000)})
    frontier = draw(st.sampled_from(spots))
    arrived = frame.filter(pl.col("_hr_known").dt.epoch("us") < frontier)
    engine = PolarsEngine()
    past = engine.compute(view, arrived, None, EARLY, frontier)
    future = engine.compute(view, frame.clear(), past.carry, frontier, LATE)
    steps = pl.concat([past.steps, future.steps]).sort([*view.entity_keys, "valid_from"])
    known_rows = [row for row, time in zip(given_rows, known, strict=True) if time < frontier]
    return Situation(view, known_rows, steps, past.carry, frontier=frontier)


def records(bodies: list[tuple[bytes, int, bytes]]) -> dict[bytes, bytes]:
    return {key: with_layer(None, None, HEAD, 0, kind, body) for key, kind, body in bodies}


def packed_tiles(case: Situation) -> list[tuple[bytes, int, bytes]]:
    packed = pack_tiles(FINGERPRINT, case.layout, case.keys, case.steps, case.carry.elements, case.since)
    return [(key, TILES, body) for key, body in packed]


def assert_right(case: Situation, found: dict[bytes, bytes]) -> None:
    reader = case.layout.reader()
    for key in entities(case.view):
        record = found.get(case.key_of(key) or b"")
        for time in sorted(moments(case.steps, case.known_rows) | {case.since + tick for tick in (-1, 0, 1)}):
            answer = reader.at(record, HEAD, time)
            wanted = value_at(case.view, case.known_rows, key, time, CONDITIONS)
            if wanted is None:
                assert set(answer.statuses) == {NOT_FOUND}
            else:
                assert_agrees(case.view, answer, wanted, f"{key} at {time}, frontier {case.frontier}", time)


def assert_agrees(view: hr.FeatureView, answer: Answer, wanted: dict[str, Any], where: str, time: int) -> None:
    assert answer.event_time == wanted["event_time"], where
    old = view.ttl_us is not None and time - wanted["event_time"] > view.ttl_us
    for value, status, (name, feature) in zip(answer.values, answer.statuses, view.features.items(), strict=True):
        if old and feature.ages:
            assert (value, status) == (None, OUTSIDE_MAX_AGE), f"{where}: {name}"
        else:
            assert agrees(feature, value, wanted[name]), f"{where}: {name} {value}, wanted {wanted[name]}"


@given(case=situations())
def test_tiles_answer_as_the_definitions_mean(case: Situation) -> None:
    assert_right(case, records(packed_tiles(case)))


@given(case=situations())
def test_tiles_unfold_to_the_scheduled_steps(case: Situation) -> None:
    reader = case.layout.reader()
    found = records(packed_tiles(case))
    expected = records([
        (key, STEPS, body) for key, body in pack_steps(FINGERPRINT, case.layout, case.keys, case.steps)
    ])  # fmt: skip
    assert found.keys() == expected.keys()
    exact = [i for i, field in enumerate(case.layout.fields) if not field.dtype.is_float]
    for key, record in expected.items():
        unfolded, wanted = reader.steps(found[key], HEAD), reader.steps(record, HEAD)
        assert [step[:2] for step in unfolded] == [step[:2] for step in wanted]
        for one, other in zip(unfolded, wanted, strict=True):
            assert [one.values[i] for i in exact] == [other.values[i] for i in exact]


@given(case=situations())
def test_each_entity_is_packed_in_the_shorter_way(case: Situation) -> None:
    stepped = dict(pack_steps(FINGERPRINT, case.layout, case.keys, case.steps))
    tiled_bodies = {key: body for key, _, body in packed_tiles(case)}
    chosen = list(
        pack_shorter(FINGERPRINT, case.layout, case.keys, case.steps, case.carry.elements, case.since, worth_bytes=0)
    )
    assert sorted(key for key, *_ in chosen) == sorted(stepped)
    for key, kind, body in chosen:
        assert body == (tiled_bodies if kind == TILES else stepped)[key]
        assert (kind == TILES) == (len(tiled_bodies[key]) < len(stepped[key]))
    assert_right(case, records(chosen))


@given(case=situations())
def test_a_record_of_tiles_that_was_cut_short_is_refused(case: Situation) -> None:
    found = records(packed_tiles(case))
    assume(found)
    record = min(found.values(), key=len)
    for length in range(0, len(record), 7):
        with pytest.raises(CorruptRecordError):
            case.layout.reader().at(record[:length], HEAD, case.since)
    kind_and_length = slice(33, 38)
    for shorter in (1, 8, 100):
        told = TILES.to_bytes(1, "big") + (len(record) - 38 - shorter).to_bytes(4, "big")
        damaged = record[: kind_and_length.start] + told + record[kind_and_length.stop : -shorter]
        with pytest.raises(CorruptRecordError):
            case.layout.reader().at(damaged, HEAD, case.since)
