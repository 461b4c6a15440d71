"""What readers of packed records say, on paper-sized records."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext

import msgspec
import numpy as np
import pytest

import headrace as hr
from headrace.definitions.aggregations import Aggregation
from headrace.online.base import Stamp
from headrace.online.records import with_layer
from headrace.timeline import packed_tiles
from headrace.timeline.packed import (
    INCOMPLETE,
    NOT_FOUND,
    NULL_VALUE,
    OUTSIDE_MAX_AGE,
    PRESENT,
    STATUSES,
    Answer,
    Field,
    Layout,
)  # fmt: skip
from headrace.timeline.packed_layouts import layout_of, tiles_since
from headrace.timeline.packed_record import GONE, STEPS, TILES
from headrace.timeline.packed_steps import Step
from headrace.timeline.packed_tiles import Tiles
from headrace.timeline.packed_types import CorruptRecordError
from headrace.types import duration

HEAD = Stamp(1, 1)
SPEED = Layout((Field("speed", hr.Float64, ages=True), Field("trips", hr.Int64)), ttl_us=10)
SCHEMA = {"id": hr.Int64, "t": hr.Timestamp, "fare": hr.Decimal(10, 2), "city": hr.String}
RIDES = hr.EventSource("rides", schema=SCHEMA, event_time="t")
RIDER = hr.Entity("rider", keys={"id": hr.Int64})
DAY = hr.sliding("1d", hop="5m")


def view(**features: Aggregation) -> hr.FeatureView:
    return hr.FeatureView("spent", entity=RIDER, source=RIDES, features=features, resolution="4s")


def record(layout: Layout, *steps: Step, cut_off: bool = False) -> bytes:
    return with_layer(None, None, HEAD, 0, STEPS, layout.codec.pack(steps, cut_off=cut_off))


def test_status_codes_are_places_in_the_names() -> None:
    codes = (PRESENT, NOT_FOUND, NULL_VALUE, OUTSIDE_MAX_AGE, INCOMPLETE)
    assert [STATUSES[code] for code in codes] == [
        "PRESENT", "NOT_FOUND", "NULL_VALUE", "OUTSIDE_MAX_AGE", "INCOMPLETE",
    ]  # fmt: skip


def test_only_features_that_age_get_too_old_and_only_after_their_ttl() -> None:
    held = record(SPEED, Step(101, 100, (9.5, None)))
    reader = SPEED.reader()
    assert reader.at(held, HEAD, 110) == Answer((PRESENT, NULL_VALUE), 100, (9.5, None))
    assert reader.at(held, HEAD, 111) == Answer((OUTSIDE_MAX_AGE, NULL_VALUE), 100, (None, None))


def test_a_null_event_time_does_not_age() -> None:
    held = record(SPEED, Step(101, None, (9.5, 0)))
    assert SPEED.reader().at(held, HEAD, 10**15) == Answer((PRESENT, PRESENT), None, (9.5, 0))


@pytest.mark.parametrize(("cut_off", "status"), [(False, NOT_FOUND), (True, INCOMPLETE)])
def test_before_the_first_step_kept_the_answer_depends_on_whether_there_were_others(cut_off: bool, status: int) -> None:
    for held in (record(SPEED, Step(101, 100, (9.5, 1)), cut_off=cut_off), record(SPEED, cut_off=cut_off)):
        assert SPEED.reader().at(held, HEAD, 100) == Answer((status, status), None, (None, None))


def test_what_is_gone_and_what_never_was_is_not_found() -> None:
    gone = with_layer(record(SPEED, Step(0, 0, (1.0, 1))), HEAD, Stamp(1, 2), 0, GONE, b"")
    assert SPEED.reader().at(gone, HEAD, 5).statuses == (PRESENT, PRESENT)
    for held, head in ((gone, Stamp(1, 2)), (gone, Stamp(0, 9)), (None, HEAD)):
        assert SPEED.reader().at(held, head, 5) == Answer((NOT_FOUND, NOT_FOUND), None, (None, None))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(CorruptRecordError, match="there is no kind 9 of records"):
        SPEED.reader().at(with_layer(None, None, HEAD, 0, 9, b""), HEAD, 5)


def test_a_record_of_another_layout_is_refused_with_both_sizes() -> None:
    other = Layout((Field("speed", hr.Float64),))
    with pytest.raises(CorruptRecordError, match=r"1 steps of 33 bytes are not what 30 bytes hold"):
        SPEED.reader().at(record(other, Step(0, 0, (1.0,))), HEAD, 5)


def test_a_layout_of_another_format_is_refused() -> None:
    with pytest.raises(CorruptRecordError, match="records of format 2 were written by another version"):
        Layout.from_plain({**SPEED.plain(), "format": 2})


def test_a_layout_travels_as_msgpack_with_its_tiles() -> None:
    layout = layout_of(view(mean=hr.mean("fare", DAY), most=hr.max("fare", DAY), seen=hr.max("t", DAY)))
    again = Layout.from_plain(msgspec.msgpack.decode(msgspec.msgpack.encode(layout.plain())))
    assert again == layout
    assert again.reader() is layout.reader()


def test_a_decimal_keeps_its_digits_whatever_the_callers_context() -> None:
    layout = Layout((Field("fare", hr.Decimal(18, 4)),))
    with localcontext(prec=3):
        held = record(layout, Step(0, 0, (Decimal("12345678901234.5678"),)))
        assert str(layout.reader().at(held, HEAD, 0).values[0]) == "12345678901234.5678"


def test_features_that_look_at_the_same_rows_share_tiles() -> None:
    layout = layout_of(view(
        ever=hr.count(), n=hr.count(window=DAY), mean=hr.mean("fare", DAY), most=hr.max("fare", DAY),
        week=hr.max("fare", hr.sliding("7d", hop="1h")), oslo=hr.sum("fare", DAY, where="city = 'Oslo'"),
    ))  # fmt: skip
    assert [[layout.fields[feature.index].name for feature in each.features] for each in layout.tile_sets] == [
        ["n"], ["mean", "most"], ["week"], ["oslo"],
    ]  # fmt: skip


def test_a_view_with_a_window_of_rows_has_no_tiles() -> None:
    assert layout_of(view(n=hr.count(window=DAY), newest=hr.last("city", DAY))).tile_sets == ()


def test_tiles_begin_at_the_next_multiple_of_the_resolution() -> None:
    made = view(n=hr.count())
    assert [tiles_since(made, duration(time)) for time in ("4s", "4s1us", "8s")] == [4_000_000, 8_000_000, 8_000_000]


def test_one_tile_can_be_changed_where_it_is_held() -> None:
    layout = layout_of(view(n=hr.count(window=DAY)))
    steps = layout.codec.pack([Step(0, 0, (5,))])
    body = packed_tiles.pack_body(steps, 0, layout.tile_sets, [_tiles([10, 20], [2, 3])])
    *_, (held,) = packed_tiles.unpack_body(body, 0, len(body), layout.tile_sets)
    assert answers(layout, body, 9, 10, 20) == [5, 3, 0]
    more = Tiles(held.end, held.start, {"n": held.columns["n"] + [0, 4]})
    changed = packed_tiles.pack_body(steps, 0, layout.tile_sets, [more])
    assert answers(layout, changed, 9, 10, 20) == [9, 7, 0]


def _tiles(ends: list[int], counts: list[int]) -> Tiles:
    return Tiles(np.array(ends), None, {"n": np.array(counts)})


def answers(layout: Layout, body: bytes, *times: int) -> list[int]:
    held = with_layer(None, None, HEAD, 0, TILES, body)
    return [layout.reader().at(held, HEAD, time).values[0] for time in times]


def test_instants_come_back_in_utc() -> None:
    layout = Layout((Field("seen", hr.Timestamp),))
    moment = datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert layout.reader().at(record(layout, Step(0, 0, (moment,))), HEAD, 0).values == (moment,)
