"""A backfill in any pieces, orders and repetitions leaves the steps that one computation gives."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.errors import HeadraceError, IncompleteError, NotAppliedError
from headrace.platform import Platform
from headrace.platform.backfill import backfill
from headrace.testing import steps
from headrace.types import DAY
from tests.integration.pings import FEATURES, NOW, START, gold, project, put, some_rows

ROWS = some_rows(seed=1, days=4, n=400)
END = START + 6 * DAY


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    made = project(tmp_path / "project")
    put(made, ROWS)
    return made


def expected(platform: Platform, rows: list[dict[str, object]], until: int = END) -> pl.DataFrame:
    return steps(platform.definitions.view("driver_now"), rows, until=until)


def assert_gold_is(platform: Platform, wanted: pl.DataFrame) -> None:
    assert_frame_equal(gold(platform), wanted, rel_tol=1e-9)


def test_whole(platform: Platform) -> None:
    report = platform.backfill("driver_now", end=END)
    assert report.rows == len(ROWS)
    assert_gold_is(platform, expected(platform, ROWS))


@pytest.mark.parametrize("rows_a_span", [7, 60, 150])
def test_pieces(platform: Platform, rows_a_span: int) -> None:
    report = backfill(platform.context, "driver_now", end=END, rows_a_span=rows_a_span)
    assert report.spans > 1
    assert_gold_is(platform, expected(platform, ROWS))


def test_second_run_changes_nothing(platform: Platform) -> None:
    platform.backfill("driver_now", end=END)
    before = gold(platform)
    report = platform.backfill("driver_now")
    assert (report.spans, report.rows, report.publication) == (0, 0, None)
    assert gold(platform).equals(before)


def test_the_middle_of_a_history_is_redone(platform: Platform) -> None:
    platform.backfill("driver_now", end=END)
    before = gold(platform)
    platform.backfill("driver_now", START + DAY + 3600, START + 2 * DAY + 7)
    assert_frame_equal(gold(platform), before, rel_tol=1e-9)


def test_day_by_day(platform: Platform) -> None:
    for day in range(6):
        platform.backfill("driver_now", START + day * DAY, START + (day + 1) * DAY)
    assert_gold_is(platform, expected(platform, ROWS))


def test_an_hourly_run_only_adds(platform: Platform) -> None:
    platform.backfill("driver_now", START, START + 3600_000_000)
    first = gold(platform)
    platform.backfill("driver_now", START + 3600_000_000, START + 7200_000_000)
    assert first.equals(gold(platform).join(first.select("driver_id", "valid_from"), on=["driver_id", "valid_from"]))


def test_rows_that_come_after_their_time_are_taken_in(platform: Platform) -> None:
    platform.backfill("driver_now", end=END)
    more = some_rows(seed=2, days=4, n=50)
    put(platform, more)
    report = platform.backfill("driver_now")
    assert report.spans > 0
    assert_gold_is(platform, expected(platform, ROWS + more))


def test_a_change_of_the_middle_goes_on_to_the_frontier(platform: Platform) -> None:
    platform.backfill("driver_now", end=END)
    more = [row for row in some_rows(seed=3, days=1, n=20) if row["seen_at"] < START + DAY]
    put(platform, more)
    platform.backfill("driver_now", START, START + DAY)
    assert_gold_is(platform, expected(platform, ROWS + more))


def test_a_span_by_itself_begins_with_each_known_entity(platform: Platform) -> None:
    platform.backfill("driver_now", START + 3 * DAY, END)
    opening = gold(platform).group_by("driver_id").first().sort("driver_id")
    known = expected(platform, ROWS).filter(pl.col("valid_from").dt.epoch("us") < START + 3 * DAY)
    latest = known.group_by("driver_id", maintain_order=True).last().sort("driver_id")
    same = ["driver_id", "event_time", "n", "rows", "total", "kinds"]
    assert_frame_equal(opening.select(same), latest.select(same))


def test_spans_out_of_order(platform: Platform) -> None:
    labels = pl.DataFrame({"driver_id": [0, 1, 2, 3, 4] * 5}).with_row_index("i")
    times = [START + DAY // 2 + i * DAY // 5 for i in range(25)]
    labels = labels.with_columns(pl.Series("label_time", times).cast(pl.Datetime("us", "UTC")))
    platform.backfill("driver_now", START + 3 * DAY, END)
    with pytest.raises(IncompleteError, match=r"driver_now.*lie outside"):
        platform.training_set(labels, "model")
    platform.backfill("driver_now", START, START + 3 * DAY)
    out_of_order = platform.training_set(labels, "model")
    platform.backfill("driver_now", START, END)
    assert_frame_equal(out_of_order, platform.training_set(labels, "model"), rel_tol=1e-9)


def test_future_reversed_and_missing(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match="future"):
        platform.backfill("driver_now", end=NOW + 1)
    with pytest.raises(HeadraceError, match="Swap"):
        platform.backfill("driver_now", END, START)
    with pytest.raises(HeadraceError, match="Did you mean 'driver_now'"):
        platform.backfill("driver_nwo")
    empty = project(tmp_path / "empty")
    with pytest.raises(NotAppliedError, match="headrace ingest pings"):
        empty.backfill("driver_now")


def test_a_changed_definition_must_be_applied_and_backfilled(platform: Platform) -> None:
    platform.backfill("driver_now", end=END)
    root = platform.context.root
    (root / "features.py").write_text(FEATURES.replace('"30m"', '"15m"'))
    changed = Platform.open(root, clock=lambda: NOW)
    with pytest.raises(NotAppliedError, match="headrace apply"):
        changed.backfill("driver_now")
    changed.apply()
    labels = pl.DataFrame({"driver_id": [1], "label_time": [START + DAY]}).cast(
        {"label_time": pl.Datetime("us", "UTC")}
    )
    with pytest.raises(NotAppliedError, match="headrace backfill driver_now"):
        changed.training_set(labels, "model")
