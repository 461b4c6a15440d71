"""The oracle against values worked out by hand: what judges the engine is itself judged by paper and pencil."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

import headrace as hr
from headrace.definitions.aggregations import Aggregation
from headrace.definitions.sources import Source
from tests.property.oracle import DAY, Row, floor, value_at

SECOND = 1_000_000
THING = hr.Entity("thing", keys={"key": hr.Int64})
SCHEMA = {"id": hr.Int64, "key": hr.Int64, "t": hr.Timestamp, "a": hr.Timestamp, "seq": hr.Int64, "x": hr.Float64}


def seen(source: Source, rows: Sequence[Row], time: int, known: str = "then", **features: Aggregation) -> Any:
    """The features of entity 1 at a time, as plain values; None where it is unknown."""
    view = hr.FeatureView("plain", entity=THING, source=source, features=features)
    found = value_at(
        view, rows, {"key": 1}, time, {"(x > 2)": lambda row: row["x"] is not None and row["x"] > 2}, known
    )
    return None if found is None else tuple(found[name].value for name in features)


def row(t: int, x: float | None, identity: int | None = 0, **other: Any) -> dict[str, Any]:
    return {"id": identity, "key": 1, "t": t, "a": None, "seq": None, "x": x, **other}


def events(**options: Any) -> hr.EventSource:
    return hr.EventSource("rows", schema=SCHEMA, event_time="t", dedupe_on="id", **options)


def changes(**options: Any) -> hr.ChangeSource:
    return hr.ChangeSource("rows", schema=SCHEMA, event_time="t", primary_key="id", **options)


def snapshots(**options: Any) -> hr.SnapshotSource:
    return hr.SnapshotSource("rows", schema=SCHEMA, event_time=None, primary_key="id", **options)


def change(op: str, known: int, x: float | None, identity: int | None = 0, **other: Any) -> dict[str, Any]:
    return row(0, x, identity, _op=op, _known=known, **other)


def test_a_multiple_is_counted_from_its_offset_before_1970_too() -> None:
    assert [floor(-1, 10), floor(0, 10), floor(13, 10, 4), floor(14, 10, 4)] == [-10, 0, 4, 14]


@pytest.mark.parametrize(("inclusive", "first"), [(False, 101), (True, 100)])
def test_a_row_counts_strictly_after_it_is_known_unless_inclusive(inclusive: bool, first: int) -> None:
    source, rows = events(inclusive=inclusive), [row(100, 1.0)]
    assert seen(source, rows, first - 1, n=hr.count()) is None
    assert seen(source, rows, first, n=hr.count()) == (1,)


@pytest.mark.parametrize(
    ("available", "after", "k"), [(150, "0s", 150), (50, "0s", 100), (None, "30us", 130), (150, "30us", 180)]
)
def test_known_is_the_later_of_happened_and_available(available: int | None, after: str, k: int) -> None:
    source = events(available_time="a", known_after=after)
    assert seen(source, [row(100, 1.0, a=available)], k, n=hr.count()) is None
    assert seen(source, [row(100, 1.0, a=available)], k + 1, n=hr.count()) == (1,)


def test_known_now_takes_a_row_from_its_event_time_whenever_it_arrived() -> None:
    source = events(available_time="a", known_after="1h")
    assert seen(source, [row(100, 1.0, a=900)], 101, known="now", n=hr.count()) == (1,)


def test_a_sliding_tail_moves_in_hops() -> None:
    window = hr.sliding("30s", hop="10s")
    rows = [row(4 * SECOND, 1.0)]  # leaves at floor(4, 10) + 10 + 30 = 40 s
    assert seen(events(), rows, 40 * SECOND - 1, n=hr.count(window=window)) == (1,)
    assert seen(events(), rows, 40 * SECOND, n=hr.count(window=window), m=hr.mean("x", window)) == (0, None)


def test_a_tumbling_window_shows_when_it_is_due_for_one_length() -> None:
    window, source = hr.tumbling("10s"), events(max_lateness="3s")
    rows = [row(4 * SECOND, 1.0)]  # the window [0, 10) is due at 13 s and replaced at 23 s
    at = [4 * SECOND + 1, 13 * SECOND - 1, 13 * SECOND, 23 * SECOND - 1, 23 * SECOND]
    assert [seen(source, rows, time, n=hr.count(window=window)) for time in at] == [(0,), (0,), (1,), (1,), (0,)]


def test_a_late_row_counts_for_as_long_as_its_window_holds_it() -> None:
    window, source = hr.tumbling("10s"), events(available_time="a")
    rows = [row(4 * SECOND, 1.0), row(5 * SECOND, 2.0, 1, a=15 * SECOND)]
    at = [15 * SECOND, 15 * SECOND + 1, 20 * SECOND]
    assert [seen(source, rows, time, s=hr.sum("x", window)) for time in at] == [(1.0,), (3.0,), (None,)]


def test_ties_go_by_event_time_then_known_then_sequence_then_id() -> None:
    source = events(available_time="a", sequence="seq")
    by_event_time = [row(10, 1.0, 0, a=90), row(20, 2.0, 1, a=30)]
    by_known = [row(10, 1.0, 0, a=40, seq=0), row(10, 2.0, 1, a=30, seq=9)]
    by_sequence = [row(10, 1.0, 0, seq=2), row(10, 2.0, 1, seq=None)]
    by_id = [row(10, 1.0, 5), row(10, 2.0, 4)]
    found = [
        seen(source, rows, 100, v=hr.last("x"), w=hr.first("x"))
        for rows in (by_event_time, by_known, by_sequence, by_id)
    ]
    assert found == [(2.0, 1.0), (1.0, 2.0), (1.0, 2.0), (1.0, 2.0)]


def test_nulls_nan_and_infinities() -> None:
    rows = [row(place, x, place) for place, x in enumerate([1.0, None, float("inf"), 3.0, float("nan")])]
    found = seen(events(), rows, 100, a=hr.last("x"), b=hr.last("x", skip_nulls=True), c=hr.count(), d=hr.count("x"),
                 e=hr.sum("x"), f=hr.last_n("x", 3), g=hr.last_n("x", 3, skip_nulls=True), h=hr.max("x"))  # fmt: skip
    assert found == (None, 3.0, 5, 2, 4.0, [None, 3.0, None], [3.0, 1.0], 3.0)


def test_spread_quantile_condition_and_default() -> None:
    rows = [row(place, x, place) for place, x in enumerate([1.0, 2.0, 3.0, 6.0])]
    spent = hr.sliding("10us", hop="10us")
    found = seen(events(), rows, 100, v=hr.variance("x"), p=hr.stddev("x", ddof=0), q=hr.quantile("x", 0.5),
                 w=hr.sum("x", where="(x > 2)"), d=hr.sum("x", spent, default=-1.0))  # fmt: skip
    assert found == (14 / 3, 3.5**0.5, 2.0, 9.0, -1.0)


def test_an_update_replaces_what_it_corrects_when_it_is_known() -> None:
    log = [change("insert", 10, 1.0), change("update", 20, 5.0), change("delete", 30, None)]
    at = [10, 11, 20, 21, 30, 31]
    found = [seen(changes(), log, time, n=hr.count(), s=hr.sum("x")) for time in at]
    assert found == [None, (1, 1.0), (1, 1.0), (1, 5.0), (1, 5.0), (0, None)]


def test_a_moved_key_leaves_its_old_entity_empty_but_known() -> None:
    log = [change("insert", 10, 1.0), change("update", 20, 1.0, key=2)]
    assert [seen(changes(), log, time, n=hr.count()) for time in (20, 21)] == [(1,), (0,)]


def test_a_truncate_ends_every_row_and_a_key_can_come_again() -> None:
    log = [change("insert", 10, 1.0), change("insert", 11, 2.0, 1), change("truncate", 20, None, None, key=None),
           change("insert", 30, 7.0)]  # fmt: skip
    assert [seen(changes(), log, time, s=hr.sum("x")) for time in (20, 21, 31)] == [(3.0,), (None,), (7.0,)]


def test_a_change_that_ended_before_it_was_known_never_was() -> None:
    log = [change("insert", 30, 1.0), change("delete", 20, None)]
    assert seen(changes(), log, 100, n=hr.count()) is None


def test_known_now_keeps_only_the_last_state_of_a_change_source() -> None:
    log = [
        change("insert", 10, 1.0),
        change("update", 20, 5.0),
        change("insert", 21, 9.0, 1),
        change("delete", 30, None, 1),
    ]
    assert seen(changes(), log, 1, known="now", n=hr.count(), s=hr.sum("x")) == (1, 5.0)


def test_a_snapshot_is_the_truth_of_its_day_until_the_next() -> None:
    one, two = date(1970, 1, 1), date(1970, 1, 3)
    files = [row(0, 1.0, 0, _snapshot=one), row(0, 2.0, 1, _snapshot=one), row(0, 4.0, 1, _snapshot=two)]
    late = snapshots(known_after="1h")
    ends = [DAY - 1, 3 * DAY - 1]
    found = [seen(late, files, end + 3600 * SECOND + tick, s=hr.sum("x")) for end in ends for tick in (0, 1)]
    assert found == [None, (3.0,), (3.0,), (4.0,)]
    assert seen(late, files, DAY, known="now", s=hr.sum("x")) == (3.0,)


def test_resolution_answers_as_of_the_last_multiple() -> None:
    view = hr.FeatureView("plain", entity=THING, source=events(), resolution="10us", features={"n": hr.count()})
    rows = [row(3, 1.0), row(12, 1.0, 1)]
    found = [value_at(view, rows, {"key": 1}, time, {}) for time in (9, 10, 19, 20)]
    assert [None if answer is None else answer["n"].value for answer in found] == [None, 1, 1, 2]


def test_a_null_key_belongs_to_no_entity_and_a_global_view_to_everyone() -> None:
    rows = [row(1, 1.0), row(2, 1.0, 1, key=None)]
    assert seen(events(), rows, 10, n=hr.count()) == (1,)
    everyone = hr.FeatureView("plain", entity=None, source=events(), features={"n": hr.count()})
    found = value_at(everyone, rows, {}, 10, {})
    assert found is not None
    assert found["n"].value == 2


@pytest.mark.parametrize("source", [events(), changes(), snapshots()], ids=["event", "change", "snapshot"])
def test_without_rows_nothing_is_known(source: Source) -> None:
    assert seen(source, [], 10, n=hr.count()) is None
