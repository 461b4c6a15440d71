"""The online store holds exactly what is published, however it came there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import DefinitionError, NotAppliedError, OnlineStoreError
from headrace.online.base import expires_at, stamp_of
from headrace.online.expiry import KEPT_BEFORE, KEPT_IDLE
from headrace.online.record_keys import record_prefix
from headrace.platform import Platform
from headrace.platform import scheduled as scheduling
from headrace.platform.materialize import MaterializeReport
from headrace.platform.online_heads import Head, head_key, namespace_key, read_head
from headrace.types import DAY, SECOND
from tests.integration.online_answers import (
    STORES,
    Rows,
    answered,
    assert_same,
    assert_same_records,
    expected,
    known_before,
    steps_after,
    store_url,
    visible_steps,
)
from tests.integration.pings import NOW, START, project, put, some_rows

ROOT = Path(__file__).parents[2]
HOUR = 3_600 * SECOND
ROWS = some_rows(seed=1, days=4, n=300)
LATER = some_rows(seed=2, days=4, n=30, drivers=2)
FIRST, SECOND_END, LAST = START + 2 * DAY, START + 2 * DAY + 5 * HOUR, START + 7 * DAY


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for found in store_url(request, tmp_path):
        monkeypatch.setenv("HEADRACE_ONLINE", found)
        yield found


@pytest.fixture
def platform(url: str, tmp_path: Path) -> Platform:
    made = project(tmp_path / "project")
    put(made, ROWS)
    return made


def fresh(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> tuple[Platform, MaterializeReport]:
    """The same project with another store, into which everything is written."""
    monkeypatch.setenv("HEADRACE_ONLINE", f"lmdb:{platform.context.root / 'other'}")
    other = Platform.open(platform.context.root, clock=lambda: NOW)
    return other, other.materialize("driver_now", whole=True)


def assert_as_whole(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> MaterializeReport:
    """The store holds for readers what a whole load into an empty one does."""
    other, report = fresh(platform, monkeypatch)
    assert report.whole
    head, wanted = (read_head(p.context.online, "driver_now") for p in (platform, other))
    assert head is not None
    assert wanted is not None
    assert (head.fingerprint, head.number, head.stamp, head.frontier) == (
        wanted.fingerprint, wanted.number, wanted.stamp, wanted.frontier
    )  # fmt: skip
    cut = head.frontier - KEPT_BEFORE
    assert_same_records(visible_steps(platform, "driver_now", cut), visible_steps(other, "driver_now", cut))
    return report


def assert_answers(platform: Platform, rows: Rows, frontier: int) -> None:
    """For each driver, around each step from a minute before the frontier on."""
    view = platform.definitions.view("driver_now")
    steps = steps_after(view, rows, frontier)
    times = steps["valid_from"].dt.epoch("us").unique().to_list()
    asked = {frontier - KEPT_BEFORE, frontier, frontier + HOUR, frontier + DAY}
    asked |= {t + d for t in times for d in (-1, 0, 1) if t > frontier - KEPT_BEFORE}
    keys = [{"driver_id": driver} for driver in range(6)]
    for at in sorted(asked):
        for key, found in zip(keys, answered(platform, "model", keys, at), strict=True):
            assert_same(found, expected(view, steps, key, at), (key, at - frontier))


def test_a_publication_is_read_online_at_once_and_after_the_frontier_windows_empty(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    assert_answers(platform, ROWS, FIRST)


def test_what_is_added_is_written_and_nothing_else(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.backfill("driver_now", end=FIRST)
    before = dict(platform.context.online.scan(b"r"))
    platform.backfill("driver_now", end=SECOND_END)
    assert_answers(platform, ROWS, SECOND_END)
    new = {row["driver_id"] for row in known_before(ROWS, SECOND_END) if max(row["ts"], row["seen_at"]) >= FIRST}
    changed = [key for key, value in platform.context.online.scan(b"r") if before.get(key) != value]
    assert len(changed) >= len(new)
    assert_as_whole(platform, monkeypatch)


def test_corrections_in_the_middle(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.backfill("driver_now", end=LAST)
    before = dict(platform.context.online.scan(b"r"))
    put(platform, LATER)
    platform.backfill("driver_now")
    assert_answers(platform, ROWS + LATER, LAST)
    unchanged = [key for key, value in platform.context.online.scan(b"r") if before[key] == value]
    assert len(unchanged) == 3, "late rows were those of two drivers"
    assert_as_whole(platform, monkeypatch)


def test_a_row_known_right_before_the_frontier(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = {"ping_id": "edge", "driver_id": 3, "ts": FIRST - 1, "seen_at": FIRST - 1, "speed": 9.0, "n": 7}
    other = {**edge, "ping_id": "new", "driver_id": 5, "ts": LAST - 1, "seen_at": LAST - 1}
    put(platform, [edge, other])
    rows = [*ROWS, edge, other]
    platform.backfill("driver_now", end=FIRST)
    assert_answers(platform, rows, FIRST)
    for end in (SECOND_END, LAST):
        platform.backfill("driver_now", end=end)
        assert_answers(platform, rows, end)
    assert_as_whole(platform, monkeypatch)


def test_a_rollback_puts_the_store_back_and_takes_away_who_was_not_there(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.backfill("driver_now", end=FIRST)
    new = {"ping_id": "x", "driver_id": 5, "ts": FIRST + HOUR, "seen_at": FIRST + HOUR, "speed": 1.0, "n": 1}
    edge = {**new, "ping_id": "y", "driver_id": 6, "ts": LAST - 1, "seen_at": LAST - 1}
    put(platform, [new, edge])
    platform.backfill("driver_now", end=LAST)
    at_first = platform.online("model", {"driver_id": [5, 6]}, at=LAST + HOUR)
    assert [row[1] for row in at_first.rows] == [1, 1]
    platform.rollback("driver_now")
    assert_answers(platform, ROWS, FIRST)
    assert platform.online("model", {"driver_id": [5, 6]}, at=LAST + HOUR).rows == [(None,) * 6] * 2
    assert_as_whole(platform, monkeypatch)


def test_repeated_it_does_nothing(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    before = dict(platform.context.online.scan(b""))
    report = platform.materialize("driver_now")
    assert (report.number, report.records, report.gone, report.whole) == (1, 0, 0, False)
    assert dict(platform.context.online.scan(b"")) == before


def test_a_whole_load_over_the_same_publication_writes_the_same_bytes(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    before = dict(platform.context.online.scan(b"r"))
    report = platform.materialize("driver_now", whole=True)
    assert (report.records, report.gone, report.whole) == (5, 0, True)
    assert report.records_per_second > 0
    assert dict(platform.context.online.scan(b"r")) == before


def test_a_lost_store_is_written_again(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    store = platform.context.online
    store.delete_many([key for key, _ in store.scan(b"")])
    with pytest.raises(NotAppliedError, match="Run: headrace materialize driver_now"):
        platform.online("model", {"driver_id": [1]})
    report = platform.materialize("driver_now")
    assert (report.records, report.whole) == (5, True)
    assert_answers(platform, ROWS, FIRST)


def test_records_that_only_a_lost_head_knew_are_replaced(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.backfill("driver_now", end=LAST)
    store = platform.context.online
    prefix = record_prefix(_head(platform).fingerprint)
    some = next(iter(store.scan(prefix)))
    store.put_many([(prefix + b"nobody", some[1])])
    store.delete_many([head_key("driver_now"), namespace_key(_head(platform).fingerprint)])
    put(platform, LATER)
    platform.backfill("driver_now")
    assert_answers(platform, ROWS + LATER, LAST)
    assert prefix + b"nobody" not in dict(store.scan(prefix))
    assert_as_whole(platform, monkeypatch)


@pytest.mark.parametrize("entities", [1, 2])
def test_however_small_the_chunks(entities: int, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "ENTITIES_AT_ONCE", entities)
    monkeypatch.setattr("headrace.platform.online_content.ENTITIES_AT_ONCE", 3)
    platform.backfill("driver_now", end=FIRST)
    monkeypatch.undo()
    assert len(visible_steps(platform, "driver_now", FIRST)) == 5
    assert_as_whole(platform, monkeypatch)


def test_a_new_definition_has_records_of_its_own_and_the_old_ones_go(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    old = _head(platform)
    features = platform.context.root / "features.py"
    features.write_text(features.read_text().replace('"rows": hr.count()', '"rows": hr.sum("n")'))
    changed = Platform.open(platform.context.root, clock=lambda: NOW)
    changed.apply()
    rows_before = changed.online("model", {"driver_id": [1]}, at=FIRST).rows[0][1]
    changed.backfill("driver_now", end=FIRST)
    new = _head(changed)
    assert new.fingerprint != old.fingerprint
    assert new.number == old.number + 1
    assert not list(changed.context.online.scan(record_prefix(old.fingerprint)))
    rows_after = changed.online("model", {"driver_id": [1]}, at=FIRST).rows[0]
    assert rows_after[1] == rows_after[2] != rows_before


def test_a_reader_goes_on_over_a_new_definition(platform: Platform) -> None:
    from headrace.platform.online import OnlineReader

    platform.backfill("driver_now", end=FIRST)
    reader = OnlineReader.of(platform.context, "model")
    count = reader.read({"driver_id": [1]}, FIRST).rows[0][1]
    features = platform.context.root / "features.py"
    features.write_text(features.read_text().replace('"rows": hr.count()', '"rows": hr.sum("n")'))
    changed = Platform.open(platform.context.root, clock=lambda: NOW)
    changed.apply()
    changed.backfill("driver_now", end=FIRST)
    row = reader.read({"driver_id": [1]}, FIRST).rows[0]
    assert row[1] == row[2] != count


def test_back_to_the_definition_before(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    features = platform.context.root / "features.py"
    text = features.read_text()
    features.write_text(text.replace('"rows": hr.count()', '"rows": hr.sum("n")'))
    changed = Platform.open(platform.context.root, clock=lambda: NOW)
    changed.apply()
    changed.backfill("driver_now", end=SECOND_END)
    changed.rollback("driver_now", 1)
    features.write_text(text)
    again = Platform.open(platform.context.root, clock=lambda: NOW)
    assert_answers(again, ROWS, FIRST)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["after online chunk", "before publication", "before online head", "after online head"]
)
@pytest.mark.parametrize("first", [True, False])
def test_killed_and_done_again(first: bool, point: str, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    if not first:
        platform.backfill("driver_now", end=FIRST)
        seen = visible_steps(platform, "driver_now", FIRST)
    environment = os.environ | {"HEADRACE_CRASH_AT": point, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.materialize_child", str(platform.context.root), str(LAST)]
    done = subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if point != "after online head":
        if first:
            assert read_head(platform.context.online, "driver_now") is None
        else:
            assert visible_steps(platform, "driver_now", FIRST) == seen, "readers see what they saw"
    if first and platform.context.registry.serving().get("driver_now") is None:
        platform.backfill("driver_now", end=LAST)
    report = platform.materialize("driver_now")
    assert report.number == (1 if first else 2)
    assert_answers(platform, ROWS, LAST)
    assert_as_whole(platform, monkeypatch)


@pytest.mark.slow
def test_layers_of_a_publication_that_was_never_shown_do_not_come_up_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.backfill("driver_now", end=LAST)
    put(platform, LATER)
    environment = os.environ | {"HEADRACE_CRASH_AT": "before online head", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.materialize_child", str(platform.context.root), str(LAST)]
    done = subprocess.run(command, env=environment, cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert platform.rollback("driver_now", 1).number == 3
    assert_answers(platform, ROWS, LAST)
    assert_as_whole(platform, monkeypatch)


def test_a_full_store_leaves_readers_offline_and_online_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_ONLINE", f"lmdb:{tmp_path / 'small'}?map_size=200KiB")
    platform = project(tmp_path / "project")
    put(platform, ROWS)
    platform.backfill("driver_now", end=FIRST)
    before = visible_steps(platform, "driver_now", FIRST)
    put(platform, some_rows(seed=3, days=4, n=6_000, drivers=3_000))
    with pytest.raises(OnlineStoreError, match="headrace materialize driver_now"):
        platform.backfill("driver_now", end=LAST)
    assert visible_steps(platform, "driver_now", FIRST) == before
    assert platform.versions("driver_now").serving == 2
    platform.context.online.close()
    monkeypatch.setenv("HEADRACE_ONLINE", f"lmdb:{tmp_path / 'small'}")
    again = Platform.open(platform.context.root, clock=lambda: NOW)
    assert again.materialize("driver_now").number == 2
    assert len(visible_steps(again, "driver_now", LAST)) > 2_000


def test_a_store_that_is_down_is_told_and_offline_readers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_ONLINE", "redis://127.0.0.1:1/0")
    platform = project(tmp_path / "project")
    put(platform, ROWS)
    with pytest.raises(OnlineStoreError, match="published and read offline, but not online"):
        platform.backfill("driver_now", end=FIRST)
    assert platform.history("driver_now", {"driver_id": 1}).height
    monkeypatch.setenv("HEADRACE_ONLINE", f"lmdb:{tmp_path / 'online'}")
    again = Platform.open(platform.context.root, clock=lambda: NOW)
    assert again.materialize("driver_now").whole
    assert_answers(again, ROWS, FIRST)


def test_records_of_a_registry_that_is_newer_are_not_overwritten(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    store, head = platform.context.online, _head(platform)
    newer = {key: b"\0\0\0\x09" + value[4:] for key, value in store.scan(record_prefix(head.fingerprint))}
    store.put_many(newer.items())
    with pytest.raises(OnlineStoreError, match=r"5 records of .* are newer than publication"):
        platform.materialize("driver_now", whole=True)


def test_a_record_at_rest_expires_and_is_swept(tmp_path: Path) -> None:
    project(tmp_path / "project")
    features = tmp_path / "project" / "features.py"
    lifetimes = ('    "rows": hr.count(),\n', '    "total": hr.sum("n"),\n', '    "kinds": hr.count_distinct("n"),\n')
    text = features.read_text()
    for line in lifetimes:
        text = text.replace(line, "")
    features.write_text(text)
    now = [START + 3 * DAY]
    platform = Platform.open(tmp_path / "project", clock=lambda: now[0])
    platform.apply()
    old = {"ping_id": "a", "driver_id": 1, "ts": START + HOUR, "seen_at": START + HOUR, "speed": 1.0, "n": 1}
    put(platform, [old, {**old, "ping_id": "b", "driver_id": 2, "ts": START + 2 * DAY, "seen_at": START + 2 * DAY}])
    platform.backfill("driver_now", end=START + 3 * DAY)
    records = {key: expires_at(value) for key, value in platform.context.online.scan(b"r")}
    ends = START + 3 * HOUR + KEPT_IDLE  # the ttl, two hours, is longer than what windows hold
    assert sorted(records.values()) == [ends, START + 2 * DAY + 2 * HOUR + KEPT_IDLE]
    for at, status in ((ends - 1, "OUTSIDE_MAX_AGE"), (ends, "NOT_FOUND")):
        assert answered(platform, "model", [{"driver_id": 1}], at)[0]["n"] == (None, status)
    now[0] = ends + 1
    platform.backfill("driver_now", end=now[0])
    report = platform.materialize("driver_now", whole=True)
    assert report.records == 1
    assert answered(platform, "model", [{"driver_id": 1}], ends + 1)[0]["n"] == (None, "NOT_FOUND")
    assert len(visible_steps(platform, "driver_now", ends)) == 1


def test_a_record_that_keeps_something_does_not_expire(platform: Platform) -> None:
    platform.backfill("driver_now", end=FIRST)
    assert {expires_at(value) for _, value in platform.context.online.scan(b"r")} == {0}


def test_nothing_known_yet_is_a_head_without_records(platform: Platform) -> None:
    platform.backfill("driver_now", start=START - DAY, end=START - HOUR)
    assert _head(platform).frontier == START - HOUR
    assert answered(platform, "model", [{"driver_id": 1}], START)[0]["rows"] == (None, "NOT_FOUND")


def test_the_head_says_all_that_a_reader_needs(platform: Platform) -> None:
    published = platform.backfill("driver_now", end=FIRST).publication
    assert published is not None
    head = _head(platform)
    assert Head.unpack(head.pack()) == head
    assert (head.number, head.stamp) == (1, (published.generation, published.table_version))
    assert (head.frontier, head.written_at) == (FIRST, NOW)
    assert [field.name for field in head.layout.fields] == list(platform.definitions.view("driver_now").features)
    (value,) = platform.context.online.get_many([head_key("driver_now")])
    assert value is not None
    assert stamp_of(value).epoch == published.token


def test_what_is_not_served_online(tmp_path: Path) -> None:
    project(tmp_path)
    features = tmp_path / "features.py"
    features.write_text(features.read_text().replace('ttl="2h"', 'ttl="2h", online=False'))
    platform = Platform.open(tmp_path, clock=lambda: NOW)
    platform.apply()
    put(platform, ROWS)
    platform.backfill("driver_now", end=FIRST)
    assert not (tmp_path / "online").exists()
    with pytest.raises(DefinitionError, match="online=False"):
        platform.materialize("driver_now")
    with pytest.raises(NotAppliedError, match="online=False"):
        platform.online("model", {"driver_id": [1]})


def test_before_the_first_backfill(platform: Platform) -> None:
    with pytest.raises(NotAppliedError, match=r"has never been backfilled\. Run: headrace backfill driver_now"):
        platform.materialize("driver_now")


def _head(platform: Platform) -> Head:
    found = read_head(platform.context.online, "driver_now")
    assert found is not None
    return found
