"""What packing refuses, and what it leaves out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.engines.base import Carry
from headrace.engines.polars import PolarsEngine
from headrace.errors import DefinitionError, OverflowRefusedError
from headrace.online.base import Stamp
from headrace.online.packing import ROWS_AT_ONCE, pack_steps
from headrace.online.packing_keys import record_keys
from headrace.online.packing_tiles import pack_shorter, pack_tiles
from headrace.online.record_keys import record_key
from headrace.online.records import assemble, with_layer
from headrace.testing import silver
from headrace.timeline.packed import Field, Layout
from headrace.timeline.packed_layouts import layout_of
from headrace.timeline.packed_record import STEPS, TILES
from headrace.timeline.packed_types import CorruptRecordError

FINGERPRINT = "0123456789abcdef"
LAYOUT = Layout((Field("speed", hr.Float64), Field("status", hr.String)))
INSTANT = pl.Datetime("us", "UTC")
HEAD = Stamp(1, 1)


def steps(**columns: Any) -> pl.DataFrame:
    made = {"driver": [1, 1, 2], "valid_from": [1, 5, 3], "event_time": [0, 4, 2], "speed": [1.0, 2.0, None],
            "status": ["free", None, "busy"]} | columns  # fmt: skip
    times = [pl.col(name).cast(INSTANT) for name in ("valid_from", "event_time") if name in made]
    return pl.DataFrame({name: column for name, column in made.items() if column is not None}).with_columns(times)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DefinitionError, match="have no column 'status'; they have: driver, valid_from"):
        list(pack_steps(FINGERPRINT, LAYOUT, ["driver"], steps().drop("status")))


def test_a_column_of_another_type_is_named_with_both_types() -> None:
    with pytest.raises(DefinitionError, match=r"'speed' is Int64, the layout of the online records says Float64"):
        list(pack_steps(FINGERPRINT, LAYOUT, ["driver"], steps(speed=[1, 2, 3])))


def test_a_naive_time_is_refused() -> None:
    naive = steps().with_columns(pl.col("valid_from").dt.replace_time_zone(None))
    with pytest.raises(DefinitionError, match="column 'valid_from' is Datetime"):
        list(pack_steps(FINGERPRINT, LAYOUT, ["driver"], naive))


def test_a_key_of_a_type_that_equal_keys_may_differ_in_is_refused() -> None:
    with pytest.raises(DefinitionError, match="key column 'driver' is Float64"):
        list(pack_steps(FINGERPRINT, LAYOUT, ["driver"], steps(driver=[1.0, 1.0, 2.0])))


@pytest.mark.parametrize(("value", "dtype"), [("7", hr.Int64), (True, hr.Int64), (7, hr.String), (2**63, hr.Int64)])
def test_a_key_that_is_not_of_its_type_is_refused(value: object, dtype: Any) -> None:
    with pytest.raises(DefinitionError, match="is no entity with keys of the types"):
        record_key(FINGERPRINT, (value,), (dtype,))


def test_null_keys_are_left_out_and_have_no_key() -> None:
    found = list(pack_steps(FINGERPRINT, LAYOUT, ["driver"], steps(driver=[None, None, 2])))
    assert [key for key, _ in found] == [record_key(FINGERPRINT, (2,), (hr.Int64,))]
    assert record_keys(FINGERPRINT, pl.DataFrame({"k": [2, None]})) == [found[0][0], None]


def test_no_steps_make_no_records() -> None:
    for keys in (["driver"], []):
        assert list(pack_steps(FINGERPRINT, LAYOUT, keys, steps().clear())) == []


def test_a_global_view_has_one_record() -> None:
    frame = steps().sort("valid_from").drop("driver")
    ((key, body),) = pack_steps(FINGERPRINT, LAYOUT, [], frame)
    assert key == record_key(FINGERPRINT, (), ())
    record = with_layer(None, None, HEAD, 0, STEPS, body)
    assert [LAYOUT.reader().at(record, HEAD, time).values for time in (1, 3, 5)] == [
        (1.0, "free"), (None, "busy"), (2.0, None),
    ]  # fmt: skip


def test_records_that_cross_a_chunk_stay_whole() -> None:
    n = ROWS_AT_ONCE * 2 + 3
    entity = pl.Series("driver", [min(i // 7, ROWS_AT_ONCE // 7 + 2) for i in range(n)])
    times = pl.Series("valid_from", range(n)).cast(INSTANT)
    frame = pl.DataFrame([entity, times, times.alias("event_time"), pl.Series("speed", range(n)).cast(pl.Float64)])
    layout = Layout((Field("speed", hr.Float64),))
    found = list(pack_steps(FINGERPRINT, layout, ["driver"], frame))
    assert [key for key, _ in found] == record_keys(FINGERPRINT, entity.unique().sort().to_frame())
    values = [
        step.values[0]
        for _, body in found
        for step in layout.reader().steps(with_layer(None, None, HEAD, 0, STEPS, body), HEAD)
    ]
    assert values == list(range(n))


def test_an_old_record_that_cannot_be_read_is_refused() -> None:
    record = assemble(HEAD, 0, [(HEAD, STEPS, b"body")])
    with pytest.raises(CorruptRecordError, match="a record of 41 bytes has layers of 42"):
        with_layer(record[:-1], HEAD, Stamp(1, 2), 0, STEPS, b"new")


SALES = hr.EventSource("sales", schema={"shop": hr.Int64, "t": hr.Timestamp, "n": hr.Int64}, event_time="t")
SHOP = hr.Entity("shop", keys={"shop": hr.Int64})
DAY = hr.sliding("1d", hop="5m")
SOLD = hr.FeatureView("sold", entity=SHOP, source=SALES, features={
    **{f"last_{i}": hr.last("n") for i in range(8)}, "mean": hr.mean("n", DAY), "sum": hr.sum("n", DAY),
})  # fmt: skip
HOUR_US = 3_600_000_000


def sold(*rows: tuple[int, int, int], until: int = 24 * HOUR_US) -> tuple[pl.DataFrame, Carry]:
    frame = silver(SALES, [{"shop": shop, "t": t, "n": n} for shop, t, n in rows])
    past = PolarsEngine().compute(SOLD, frame, None, 0, until)
    future = PolarsEngine().compute(SOLD, frame.clear(), past.carry, until, 100 * HOUR_US)
    return pl.concat([past.steps, future.steps]).sort("shop", "valid_from"), past.carry


def test_a_busy_days_window_is_packed_as_tiles_and_a_single_sale_as_steps() -> None:
    frame, carry = sold(*((1, place * HOUR_US // 12, place) for place in range(288)), (2, HOUR_US, 5))
    since = 24 * HOUR_US
    scheduled = frame.filter(pl.col("valid_from").dt.epoch("us") >= since - HOUR_US)
    found = list(pack_shorter(FINGERPRINT, layout_of(SOLD), ["shop"], scheduled, carry.elements, since, True))
    stepped = dict(pack_steps(FINGERPRINT, layout_of(SOLD), ["shop"], scheduled, True))
    busy, quiet = (record_key(FINGERPRINT, (shop,), (hr.Int64,)) for shop in (1, 2))
    assert [(key, kind) for key, kind, _ in found] == [(quiet, STEPS), (busy, TILES)]
    assert len(found[0][2]) == len(stepped[found[0][0]])
    assert len(found[1][2]) * 2 < len(stepped[found[1][0]])


def test_whole_numbers_that_might_not_add_up_are_not_packed_as_tiles() -> None:
    frame, carry = sold((1, 0, 2**62), (1, HOUR_US, -(2**62)), (1, 2 * HOUR_US, 2**62))
    arguments = FINGERPRINT, layout_of(SOLD), ["shop"], frame, carry.elements, 24 * HOUR_US
    with pytest.raises(OverflowRefusedError, match="pack the steps instead"):
        list(pack_tiles(*arguments))
    assert [kind for _, kind, _ in pack_shorter(*arguments)] == [STEPS]


def test_elements_that_were_not_carried_are_named() -> None:
    frame, carry = sold((1, 0, 1))
    without = {name: elements for name, elements in carry.elements.items() if name != "sum"}
    with pytest.raises(DefinitionError, match="no elements of feature 'sum'"):
        list(pack_tiles(FINGERPRINT, layout_of(SOLD), ["shop"], frame, without, 24 * HOUR_US))
