"""Packed records against a brute-force evaluation of their steps, layer by layer and byte by byte."""

from __future__ import annotations

import struct
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import headrace as hr
from headrace.engines.polars_types import to_polars
from headrace.online.base import HEADER_BYTES, Stamp, expires_at, stamp_of
from headrace.online.packing import pack_steps
from headrace.online.packing_keys import record_keys
from headrace.online.record_keys import MOST_BYTES, record_key, record_prefix
from headrace.online.records import layers_of, with_layer
from headrace.timeline import packed_record
from headrace.timeline.packed import INCOMPLETE, NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, PRESENT, Answer, Layout
from headrace.timeline.packed_record import GONE, STEPS, TILES
from headrace.timeline.packed_steps import Step
from headrace.timeline.packed_types import CorruptRecordError
from headrace.types import Binary, DataType, Int8
from tests.property.packed_strategies import TEXTS, frame_of, layouts, step_lists

FINGERPRINT = "0123456789abcdef"
HEAD = Stamp(1, 7)


def brute_force(layout: Layout, steps: list[Step], cut_off: bool, time: int) -> Answer:
    """What the steps say, by looking at each."""
    begun = [step for step in steps if step.valid_from <= time]
    if not begun:
        n = len(layout.fields)
        return Answer(((INCOMPLETE if cut_off else NOT_FOUND),) * n, None, (None,) * n)
    _, event_time, values = begun[-1]
    old = None not in (layout.ttl_us, event_time) and time - event_time > layout.ttl_us  # type: ignore[operator]
    aged = [old and field.ages for field in layout.fields]
    pairs = list(zip(values, aged, strict=True))
    statuses = tuple(OUTSIDE_MAX_AGE if a else NULL_VALUE if v is None else PRESENT for v, a in pairs)
    return Answer(statuses, event_time, tuple(None if a else v for v, a in pairs))


def boundaries(layout: Layout, steps: list[Step]) -> list[int]:
    """Each time at which an answer may change, the microsecond before and the one after."""
    spots = {step.valid_from for step in steps} | {0}
    spots |= {step.event_time + (layout.ttl_us or 0) for step in steps if step.event_time is not None}
    return sorted(spot + tick for spot in spots for tick in (-1, 0, 1))


def assert_same(found: Answer, wanted: Answer) -> None:
    assert found == wanted
    assert [type(value) for value in found.values] == [type(value) for value in wanted.values]


def record_of(body: bytes, kind: int = STEPS) -> bytes:
    return with_layer(None, None, HEAD, 0, kind, body)


@given(data=st.data())
def test_a_record_answers_as_its_steps_do_at_every_boundary(data: st.DataObject) -> None:
    layout = data.draw(layouts(), label="layout")
    steps = data.draw(step_lists(layout), label="steps")
    cut_off = data.draw(st.booleans(), label="cut_off")
    reader = Layout.from_plain(layout.plain()).reader()
    record = record_of(layout.codec.pack(steps, cut_off=cut_off))
    for time in boundaries(layout, steps):
        wanted = brute_force(layout, steps, cut_off, time)
        assert_same(reader.at(record, HEAD, time), wanted)
        assert_same(reader.at(memoryview(record), HEAD, time), wanted)
    assert reader.steps(record, HEAD) == steps


@given(data=st.data())
def test_a_frame_is_packed_to_the_same_bytes_as_its_entities_one_by_one(data: st.DataObject) -> None:
    layout = data.draw(layouts(), label="layout")
    keys = data.draw(st.sets(st.integers(-5, 5), max_size=4), label="keys")
    entities = {key: data.draw(step_lists(layout, most=6)) for key in sorted(keys)}
    cut = {key: data.draw(st.booleans()) for key in entities}
    nobody = {None: data.draw(step_lists(layout, most=2), label="steps of a null key")}
    frame = frame_of(layout, hr.Int64, nobody | entities)
    flags = pl.Series([cut.get(key, True) for key in frame["key"]], dtype=pl.Boolean)
    found = list(pack_steps(FINGERPRINT, layout, ["key"], frame, flags))
    assert found == [
        (record_key(FINGERPRINT, (key,), (hr.Int64,)), layout.codec.pack(steps, cut_off=cut[key]))
        for key, steps in entities.items()
        if steps
    ]


@given(data=st.data())
def test_readers_see_the_newest_layer_that_the_head_has_reached(data: st.DataObject) -> None:
    """Publications, some of which are killed before the head is written, and some of these are repeated."""
    layout = Layout.from_plain({"format": 1, "ttl_us": None, "fields": [["x", "Int64", False]], "tiles": []})
    reader, record, head = layout.reader(), None, None
    written: dict[Stamp, int | None] = {}
    stamp = Stamp(1, 0)
    for number in range(data.draw(st.integers(1, 8), label="publications")):
        raised = data.draw(st.booleans(), label="generation raised")
        stamp = Stamp(stamp.generation + 1, 0) if raised else Stamp(stamp.generation, stamp.epoch + 1)
        written[stamp] = None if data.draw(st.booleans(), label="gone") else number
        for _ in range(data.draw(st.integers(1, 2), label="times written")):
            record = published(layout, record, head, stamp, written[stamp])
            assert read(reader, record, head) == newest(written, head)
            assert len(layers_of(record)) <= 2
        if data.draw(st.booleans(), label="head written"):
            head = stamp
        assert read(reader, record, head) == newest(written, head)


def published(layout: Layout, old: bytes | None, head: Stamp | None, stamp: Stamp, value: int | None) -> bytes:
    kind, body = (GONE, b"") if value is None else (STEPS, layout.codec.pack([Step(0, 0, (value,))]))
    record = with_layer(old, head, stamp, 0, kind, body)
    assert (stamp_of(record), expires_at(record)) == (stamp, 0)
    return record


def read(reader: Any, record: bytes | None, head: Stamp | None) -> int | None:
    found: int | None = reader.at(record, head or (0, 0), 1).values[0]
    assert [step.values[0] for step in reader.steps(record, head or (0, 0))] == ([] if found is None else [found])
    return found


def newest(written: dict[Stamp, int | None], head: Stamp | None) -> int | None:
    return None if head is None else written[max(stamp for stamp in written if stamp <= head)]


@given(data=st.data(), expires=st.integers(1, 50))
def test_an_expired_record_is_not_found(data: st.DataObject, expires: int) -> None:
    layout = data.draw(layouts(st.integers(1, 2)))
    steps = data.draw(step_lists(layout, most=3))
    record = with_layer(None, None, HEAD, expires, STEPS, layout.codec.pack(steps))
    for time in (expires - 1, expires, expires + 1):
        known = steps if time < expires else []
        assert_same(layout.reader().at(record, HEAD, time), brute_force(layout, known, False, time))


@given(data=st.data())
def test_a_record_that_was_cut_short_or_lengthened_is_refused(data: st.DataObject) -> None:
    layout = data.draw(layouts(st.integers(1, 4)))
    bodies = [layout.codec.pack(data.draw(step_lists(layout, most=3))) for _ in range(2)]
    old = data.draw(st.sampled_from([None, with_layer(None, None, Stamp(1, 6), 0, STEPS, bodies[0])]))
    record = with_layer(old, Stamp(1, 6), HEAD, 0, STEPS, bodies[1])
    for damaged in (*(record[:length] for length in range(len(record))), record + b"\x00"):
        for head in (HEAD, Stamp(1, 6)):
            with pytest.raises(CorruptRecordError):
                layout.reader().at(damaged, head, 0)
            with pytest.raises(CorruptRecordError):
                layout.reader().steps(damaged, head)


@given(data=st.data())
def test_changed_bytes_give_an_answer_or_the_error_and_nothing_else(data: st.DataObject) -> None:
    layout = data.draw(layouts(st.integers(1, 6)))
    record = bytearray(record_of(layout.codec.pack(data.draw(step_lists(layout, most=5)))))
    for place in data.draw(st.lists(st.integers(HEADER_BYTES, len(record) - 1), min_size=1, max_size=4)):
        record[place] = data.draw(st.integers(0, 255))
    found, refused = None, False
    try:
        found = layout.reader().at(bytes(record), HEAD, 10**15)
    except CorruptRecordError:
        refused = True
    assert refused or (found is not None and len(found.values) == len(found.statuses) == len(layout.fields))


KEY_VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    hr.Int64: st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 30),
    Int8: st.integers(-128, 127),
    hr.String: st.one_of(TEXTS, st.integers(0, 30).map(str), st.text(min_size=500, max_size=510)),
    Binary: st.one_of(st.binary(max_size=4), st.binary(min_size=500, max_size=505)),
    hr.Bool: st.booleans(),
    hr.Date: st.dates(date(1900, 1, 1), date(2100, 1, 1)),
}


@given(types=st.lists(st.sampled_from(list(KEY_VALUES)), max_size=3), data=st.data())
def test_entities_have_keys_of_their_own_and_a_frame_the_same(types: list[DataType], data: st.DataObject) -> None:
    rows = st.tuples(*(st.one_of(KEY_VALUES[dtype], st.none()) for dtype in types))
    entities = sorted(data.draw(st.sets(rows, min_size=1, max_size=20), label="entities"), key=repr)
    one_by_one = [record_key(FINGERPRINT, entity, types) for entity in entities]
    columns = zip(*entities, strict=True) if types else []
    frame = pl.DataFrame([
        pl.Series(f"k{i}", list(column), dtype=to_polars(types[i])) for i, column in enumerate(columns)
    ])  # fmt: skip
    assert record_keys(FINGERPRINT, frame) == one_by_one
    assert [key is None for key in one_by_one] == [None in entity for entity in entities]
    found = [key for key in one_by_one if key is not None]
    assert len(set(found)) == len(found)
    assert all(key.startswith(record_prefix(FINGERPRINT)) and len(key) <= MOST_BYTES + 17 for key in found)


@given(left=st.data(), types=st.lists(st.sampled_from(list(KEY_VALUES)), min_size=2, max_size=2, unique=True))
def test_values_of_different_types_never_share_a_key(left: st.DataObject, types: list[DataType]) -> None:
    one, other = (record_key(FINGERPRINT, (left.draw(KEY_VALUES[dtype]),), (dtype,)) for dtype in types)
    signed = {hr.Int64, Int8}
    assume(set(types) != signed)
    assert one != other


@pytest.mark.parametrize("dtype", KEY_VALUES, ids=str)
@given(data=st.data())
def test_keys_sort_as_their_values_do(dtype: DataType, data: st.DataObject) -> None:
    values = data.draw(st.sets(KEY_VALUES[dtype], max_size=8))
    short = [v for v in values if not isinstance(v, str | bytes) or len(v) < 100]
    keyed = {record_key(FINGERPRINT, (value,), (dtype,)): value for value in short}
    assert [keyed[key] for key in sorted(keyed, key=bytes)] == sorted(short)  # type: ignore[arg-type]


def test_the_header_that_readers_skip_is_the_one_that_stores_read() -> None:
    assert packed_record.HEADER_BYTES == HEADER_BYTES
    record = with_layer(None, None, Stamp(2, 9), 77, TILES, b"body")
    assert (stamp_of(record), expires_at(record)) == (Stamp(2, 9), 77)
    assert struct.unpack_from(">IQQ", record) == packed_record.FIRST_LAYER.unpack_from(record)[:3]
