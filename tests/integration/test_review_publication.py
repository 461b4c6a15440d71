"""Publishing, rolling back and materializing in the orders that are seldom taken."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import HeadraceError
from headrace.platform import Platform, online_loading, publishing
from headrace.platform import optimize as optimizing
from headrace.platform.backfill import serve_again
from headrace.platform.gold import Gold
from headrace.platform.online_heads import read_head
from headrace.types import DAY, SECOND
from tests.integration.pings import FEATURES, NOW, START, put
from tests.integration.publishing import CHECKED, DAYS, checked, labels, publish_days, redefined

VIEW = "driver_now"
OTHER = CHECKED.replace('hr.tumbling("30m")', 'hr.tumbling("15m")')


class StoppedError(Exception):
    """Stands for a kill."""


def ping(name: str, driver: int, ts: int, n: int = 1) -> dict[str, Any]:
    return {"ping_id": name, "driver_id": driver, "ts": ts, "seen_at": ts, "speed": 1.0, "n": n}


def other_platform(platform: Platform) -> Platform:
    return Platform.open(platform.context.root, clock=lambda: NOW)


def stopped_after_the_commit(platform: Platform, monkeypatch: pytest.MonkeyPatch, **span: Any) -> None:
    def point(name: str) -> None:
        if name == "after gold commit":
            raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "crash_point", point)
        with pytest.raises(StoppedError):
            platform.backfill(VIEW, **span)


def take_over(platform: Platform) -> None:
    """What happens to the lease of a process that stands still for longer than it lasts."""
    registry = platform.context.registry
    name, far = f"publish-{VIEW}", 2**62
    registry.give_back_lease(registry.take_lease(name, "elsewhere:1:2", at=far, until=far + 1))


def test_who_pins_a_definition_is_served_while_it_is_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A definition is put in force again: its records are seen through its own head until the view's is written."""
    steady = 'steady = hr.FeatureService("steady", features=[driver_now @ 1])\n'
    platform = checked(tmp_path / "project", CHECKED + steady)
    publish_days(platform, 0, 2)
    changed = redefined(platform, OTHER + steady)
    changed.backfill(VIEW, START, START + 2 * DAY)
    put(changed, DAYS[2])
    back = redefined(changed, CHECKED + steady)
    asked, at = [{"driver_id": driver} for driver in range(5)], START + 3 * DAY
    before = back.online("steady", asked, at=START + 2 * DAY).status_names()
    seen = []

    def point(name: str) -> None:
        if name == "before online head":
            seen.append(other_platform(back).online("steady", asked, at=START + 2 * DAY).status_names())

    monkeypatch.setattr(online_loading, "crash_point", point)
    back.backfill(VIEW, end=at)
    assert seen == [before]


def test_a_longer_ttl_brings_back_records_that_had_expired(tmp_path: Path) -> None:
    features = FEATURES.replace('"rows": hr.count(),', "").replace('"total": hr.sum("n"),', "").replace(
        '"kinds": hr.count_distinct("n"),', ""
    )  # fmt: skip
    platform = checked(tmp_path / "project", features)
    put(platform, [ping("a", 1, START), ping("b", 2, START + 20 * DAY)])
    now = START + 21 * DAY
    platform = Platform.open(platform.context.root, clock=lambda: now)
    platform.backfill(VIEW, START, START + 10 * DAY)
    platform.backfill(VIEW, START + 10 * DAY, now)
    (platform.context.root / "features.py").write_text(features.replace('ttl="2h"', 'ttl="60d"'))
    longer = Platform.open(platform.context.root, clock=lambda: now)
    longer.apply()
    longer.backfill(VIEW, end=now)
    found = longer.online("model", [{"driver_id": 1}, {"driver_id": 2}], at=now)
    assert [row["driver_now__n"] for row in found.status_names()] == ["PRESENT", "PRESENT"]


@pytest.mark.parametrize("command", ["materialize", "vacuum", "optimize"])
def test_a_commit_that_a_crash_left_is_not_published_while_the_view_is_held(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    put(platform, DAYS[2])
    stopped_after_the_commit(platform, monkeypatch, end=START + 3 * DAY)
    platform.hold(VIEW, "the sensors are broken")
    getattr(platform, command)(VIEW)
    serving = platform.context.registry.serving()[VIEW]
    assert serving.frontier == START + 2 * DAY
    platform.release(VIEW)
    platform.backfill(VIEW, end=START + 3 * DAY)
    assert platform.context.registry.serving()[VIEW].frontier == START + 3 * DAY


def _asleep(platform: Platform, monkeypatch: pytest.MonkeyPatch, meanwhile: Any) -> None:
    """Let something happen while `optimize` stands still before its commits, its lease run out."""
    original = optimizing.optimize  # type: ignore[attr-defined]

    def asleep(*given: Any) -> Any:
        monkeypatch.setattr(optimizing, "optimize", original)
        take_over(platform)
        meanwhile(other_platform(platform))
        return original(*given)

    monkeypatch.setattr(optimizing, "optimize", asleep)


def test_optimize_wakes_after_another_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = checked(tmp_path / "project")
    put(platform, DAYS[0])
    for hour in range(4):
        platform.backfill(VIEW, START + hour * DAY // 4, START + (hour + 1) * DAY // 4)
    put(platform, DAYS[1])
    _asleep(platform, monkeypatch, lambda other: other.backfill(VIEW, end=START + 2 * DAY))
    with pytest.raises(HeadraceError):
        platform.optimize(VIEW)
    platform.materialize(VIEW)
    serving = platform.context.registry.serving()[VIEW]
    assert serving.frontier == START + 2 * DAY


def test_optimize_wakes_after_a_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = checked(tmp_path / "project")
    put(platform, DAYS[0])
    for hour in range(4):
        platform.backfill(VIEW, START + hour * DAY // 4, START + (hour + 1) * DAY // 4)
    publish_days(platform, 1, 2)
    _asleep(platform, monkeypatch, lambda other: other.rollback(VIEW, 4))
    with pytest.raises(HeadraceError):
        platform.optimize(VIEW)
    platform.materialize(VIEW)
    serving = platform.context.registry.serving()[VIEW]
    assert (serving.frontier, serving.content_of) == (START + DAY, 4)


def test_optimize_wakes_after_vacuum_took_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.lake import layout

    platform = checked(tmp_path / "project")
    put(platform, DAYS[0])
    for hour in range(4):
        platform.backfill(VIEW, START + hour * DAY // 4, START + (hour + 1) * DAY // 4)
    original = layout._rewritten

    def asleep(*given: Any) -> Any:
        staged = original(*given)
        take_over(platform)
        other_platform(platform).vacuum(VIEW)
        return staged

    monkeypatch.setattr(layout, "_rewritten", asleep)
    with pytest.raises(HeadraceError):
        platform.optimize(VIEW)
    monkeypatch.undo()
    platform.materialize(VIEW, whole=True)
    gold = Gold.of(platform.context, platform.definitions.view(VIEW))
    assert not gold.table.missing_files(gold.version)


def test_a_rollback_does_not_go_to_what_was_never_served(tmp_path: Path) -> None:
    """Of a new definition that was built beside the old one, only the last piece was served."""
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    changed = redefined(platform, OTHER)
    changed.backfill(VIEW, START, START + DAY)
    changed.backfill(VIEW, START + DAY, START + 2 * DAY)
    assert changed.context.registry.serving()[VIEW].number == 4
    done = changed.rollback(VIEW)
    assert done.frontier == START + 2 * DAY
    assert done.content_of == 2


def test_a_rollback_takes_back_rows_that_only_count_behind_the_frontier(tmp_path: Path) -> None:
    """At a resolution of a day, the steps of a day's rows lie behind the frontier: in no file, but online."""
    daily = (
        FEATURES.replace('ttl="2h",', 'ttl="2h", resolution="1d",')
        .replace('hr.sliding("1h", hop="5m")', 'hr.tumbling("1d")')
        .replace('hr.tumbling("30m")', 'hr.tumbling("1d")')
    )
    platform = checked(tmp_path / "project", daily)
    put(platform, [ping("a", 2, START + 3600 * SECOND), ping("b", 1, START + 13 * 3600 * SECOND)])
    platform.backfill(VIEW, START, START + DAY // 2)
    platform.backfill(VIEW, end=START + DAY)
    asked, at = [{"driver_id": 1}], START + DAY
    assert platform.online("model", asked, at=at).to_dicts()[0]["driver_now__rows"] == 1
    platform.rollback(VIEW, 1)
    assert platform.online("model", asked, at=at).to_dicts()[0]["driver_now__rows"] is None


def test_a_definition_in_force_again_whose_files_vacuum_took_is_not_served(tmp_path: Path) -> None:
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    more = [row | {"ping_id": f"late-{row['ping_id']}"} for row in DAYS[0]]
    mine = Gold.of(platform.context, platform.definitions.view(VIEW))
    put(platform, more)
    platform.backfill(VIEW, START, START + 2 * DAY)
    changed = redefined(platform, OTHER)
    changed.backfill(VIEW, START, START + 2 * DAY)
    changed.vacuum(VIEW, keep=1)
    registry = changed.context.registry
    assert mine.publication is not None
    assert registry.publications(VIEW)[mine.publication.number - 1].vacuumed
    with pytest.raises(HeadraceError):
        serve_again(changed.context, mine)
    assert not registry.serving()[VIEW].vacuumed


def test_a_view_that_is_no_longer_online_is_not_answered_from_what_is_left(tmp_path: Path) -> None:
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    offline = redefined(platform, CHECKED.replace('ttl="2h",', 'ttl="2h", online=False,'))
    publish_days(offline, 2, 3)
    with pytest.raises(HeadraceError, match="online=False"):
        offline.online("model", [{"driver_id": 1}], at=START + 3 * DAY)


def test_a_source_that_begins_later_is_told_to_the_store(tmp_path: Path) -> None:
    bounded = CHECKED.replace('dedupe_on="ping_id",', 'dedupe_on="ping_id", complete_from="2026-01-05",')
    windows = bounded.replace('"rows": hr.count(),', "").replace('"total": hr.sum("n"),', "").replace(
        '"kinds": hr.count_distinct("n"),', ""
    )  # fmt: skip
    platform = checked(tmp_path / "project", windows)
    publish_days(platform, 0, 2)
    later = redefined(platform, windows.replace("2026-01-05", "2026-01-08"))
    head = read_head(later.context.online, VIEW)
    assert head is not None
    later.backfill(VIEW, end=START + 2 * DAY)
    view = later.definitions.view(VIEW)
    offline = Gold.of(later.context, view).complete()
    now = read_head(later.context.online, VIEW)
    assert now is not None
    assert not offline.contains_instant(START + 2 * DAY - 1)
    assert now.complete_from > START + 2 * DAY - 1


def test_a_table_of_an_older_backup_is_told_and_its_versions_are_not_made_twice(tmp_path: Path) -> None:
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 1)
    gold = Gold.of(platform.context, platform.definitions.view(VIEW))
    backup = tmp_path / "backup"
    shutil.copytree(gold.table.location, backup)
    publish_days(platform, 1, 3)
    shutil.rmtree(gold.table.location)
    shutil.copytree(backup, gold.table.location)
    with pytest.raises(HeadraceError) as told:
        platform.backfill(VIEW, end=START + 3 * DAY)
    assert "there is no version 2" in str(told.value)


def test_a_registry_of_an_older_backup(tmp_path: Path) -> None:
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    root = platform.context.root
    (file,) = [*root.rglob("registry.db")]
    with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(tmp_path / "registry.db")) as copy:
        live.backup(copy)
    publish_days(platform, 2, 4)
    put(platform, DAYS[4])
    platform.rollback(VIEW, 3)
    for path in root.rglob("registry.db*"):
        path.unlink()
    shutil.copy(tmp_path / "registry.db", file)
    back = other_platform(platform)
    with pytest.raises(HeadraceError, match="empty the store"):
        back.backfill(VIEW, end=START + 5 * DAY)
    store = back.context.online
    store.delete_many([key for key, _ in store.scan(b"")])
    back.release(VIEW)
    back.backfill(VIEW, end=START + 5 * DAY)
    back.materialize(VIEW)
    assert back.context.registry.serving()[VIEW].frontier == START + 5 * DAY
    head = read_head(store, VIEW)
    assert head is not None
    assert head.frontier == START + 5 * DAY


def test_materialize_after_another_program_wrote_to_the_table(tmp_path: Path) -> None:
    platform = checked(tmp_path / "project")
    put(platform, [ping("last", 1, START + 2 * DAY - 1)])
    publish_days(platform, 0, 2)
    table = Gold.of(platform.context, platform.definitions.view(VIEW)).table
    table.commit([], schema=table.schema(), mode="replace", partition_by=["_hr_day"], metadata={})
    platform.materialize(VIEW)
    platform.materialize(VIEW)
    platform.backfill(VIEW, end=START + 2 * DAY)
    head, serving = read_head(platform.context.online, VIEW), platform.context.registry.serving()[VIEW]
    assert head is not None
    assert head.stamp == (serving.generation, serving.table_version)
    platform.materialize(VIEW, whole=True)


def test_offline_readers_of_a_definition_that_was_rolled_back(tmp_path: Path) -> None:
    """What was taken back is not read, though the code still says so."""
    platform = checked(tmp_path / "project")
    publish_days(platform, 0, 2)
    changed = redefined(platform, OTHER)
    changed.backfill(VIEW, START, START + 2 * DAY)
    assert changed.rollback(VIEW).content_of == 2
    with pytest.raises(HeadraceError):
        changed.training_set(labels(2.0), "model")
