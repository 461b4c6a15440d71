"""What was served, beside the offline truth of its time: nothing on a clean run, and each fault by its name."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from headrace.cli.main import app
from headrace.errors import UnknownNameError
from headrace.online.packing_keys import record_keys
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.served_log import ServedEntry, ServedLog
from headrace.platform.stream_pace import Pace
from headrace.platform.verify_served_report import ServedReport
from headrace.types import DAY, SECOND
from tests.integration.pings import put
from tests.integration.serving_log import HOUR, START, Forgetful, World, rows
from tests.integration.verifying import Clock


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project of one published day, which is copied."""
    world = World.make(tmp_path_factory.mktemp("served") / "project")
    world.log.close()
    world.platform.context.online.close()
    return world


@pytest.fixture
def world(published: World, tmp_path: Path) -> Iterator[World]:
    root = tmp_path / "project"
    shutil.copytree(published.platform.context.root, root)
    clock = Clock(published.clock.now)
    world = World(Platform.open(root, clock=clock), clock, published.drivers)
    yield world
    world.log.close()
    world.platform.context.online.close()


def found(report: ServedReport) -> dict[str, int]:
    assert report.comparisons
    assert report.equal + sum(report.by_cause.values()) == report.comparisons
    return dict(report.by_cause)


def lose_updates(world: World, day: int, drivers: list[int]) -> None:
    context = world.platform.context
    store = context.online
    keys = record_keys(world.head().fingerprint, pl.DataFrame({"driver_id": drivers}))
    context.__dict__["online"] = Forgetful(store, {key for key in keys if key is not None})
    world.publish(day)
    context.__dict__["online"] = store


def test_a_clean_run_has_no_differences(world: World) -> None:
    for day in range(1, 4):
        for _ in range(20):
            world.ask()
        world.publish(day)
    world.ask([1, 2, 10_000])
    report = world.verify()
    assert found(report) == {}
    assert report.comparisons == 60 * 40 * 8 + 3 * 8
    assert (report.requests, report.rows, report.lost, report.faults) == (61, 60 * 40 + 3, 0, 0)
    assert not report.not_comparable
    assert not report.clock_offsets_us


def test_a_dropped_update_is_named(world: World) -> None:
    lose_updates(world, 1, [0, 1, 2])
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"dropped update"}
    assert {each.key["driver_id"] for each in report.differences} == {0, 1, 2}


def test_windows_move_on_in_a_record_that_missed_an_update(world: World) -> None:
    """A publication in the middle of a day, when windows are full: an old record is no step of the truth then."""
    world.drivers = 20
    for noon in (2, 4):
        pings = rows(noon, world.drivers, 30)
        put(world.platform, pings.filter(pl.col("ts").dt.hour() < 12))  # type: ignore[arg-type]
        world.clock.now = START + noon * DAY + 10 * HOUR
        world.platform.backfill("driver_now", end=world.clock.now)
        store = world.platform.context.online
        lost = record_keys(world.head().fingerprint, pl.DataFrame({"driver_id": [0, 1, 2]}))
        world.platform.context.__dict__["online"] = Forgetful(store, {key for key in lost if key is not None})
        world.clock.now = START + noon * DAY + 12 * HOUR
        world.platform.backfill("driver_now", end=world.clock.now)
        world.platform.context.__dict__["online"] = store
        world.clock.now += 600 * SECOND
        world.ask()
    report = world.verify()
    assert set(found(report)) == {"dropped update"}
    assert {each.key["driver_id"] for each in report.differences} == {0, 1, 2}
    assert "driver_now__speed_6h" in {each.feature for each in report.differences}


def test_an_entity_that_was_never_written_is_a_dropped_update(world: World) -> None:
    world.drivers = 45
    lose_updates(world, 1, [44])
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"dropped update"}
    assert {(each.key["driver_id"], each.served.status) for each in report.differences} == {(44, "NOT_FOUND")}


def test_stale_records_are_named(world: World) -> None:
    before = world.stored()
    world.publish(1)
    world.ask()
    world.put_back({key: value for key, value in before.items() if key.startswith(b"r")})
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"stale record"}
    assert {each.request_id for each in report.differences} == {"request-1"}


def test_a_store_that_is_behind_is_stale(world: World) -> None:
    before = world.stored()
    world.publish(1)
    world.put_back(before)
    world.ask()
    assert set(found(world.verify())) == {"stale record"}


def test_another_version_is_named(world: World) -> None:
    before = world.stored()
    world.redefine()
    world.publish(1)
    world.ask()
    world.put_back(before)
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"wrong version"}
    assert {each.request_id for each in report.differences} == {"request-1"}


@pytest.mark.parametrize("ttl_us", [None, HOUR])
def test_another_ttl_is_named(world: World, ttl_us: int | None) -> None:
    world.publish(1)
    world.clock.now += 0 if ttl_us else 15 * HOUR
    world.judge_by_ttl(ttl_us)
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"ttl"}
    assert {each.feature for each in report.differences} <= {"driver_now__n", "driver_now__seen"}


@pytest.mark.parametrize("ahead_us", [2 * HOUR, -2 * HOUR])
def test_a_skewed_clock_is_named(world: World, ahead_us: int) -> None:
    world.publish(1)
    for _ in range(3):
        world.ask(ahead_us=ahead_us)
    report = world.verify()
    assert set(found(report)) == {"skewed clock"}
    ((_, offset),) = report.clock_offsets_us.items()
    assert abs(offset - ahead_us) < SECOND


def test_late_rows_and_rows_that_were_not_yet_readable_are_no_faults(world: World) -> None:
    world.publish(1)
    world.ask()
    late: Any = rows(1, world.drivers).with_columns(ping_id="late-" + rows(1, world.drivers)["ping_id"])
    put(world.platform, late)
    report = world.verify()
    assert set(found(report)) == {"late row"}
    assert report.faults == 0


def test_rows_between_a_publication_and_a_request_were_not_yet_readable(world: World) -> None:
    world.publish(1)
    put(world.platform, rows(2, world.drivers))  # type: ignore[arg-type]
    world.clock.now += 12 * HOUR
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"not yet readable"}
    assert report.faults == 0


def test_what_offline_has_not_reached_is_counted_apart(world: World) -> None:
    world.ask()
    world.log.close()
    report = world.platform.verify_served("model")
    assert (report.comparisons, report.equal) == (0, 0)
    assert report.not_comparable == {"later than offline has come": 40 * 8}


def test_nonsense_is_a_fault(world: World) -> None:
    stored = world.stored()
    one, other = [key for key in stored if key.startswith(b"r")][:2]
    world.put_back({one: stored[other], other: stored[one]})
    world.ask()
    report = world.verify()
    assert set(found(report)) == {"fault"}
    assert report.faults


def test_a_few_answers_by_a_wrong_clock_among_many_right_ones(world: World) -> None:
    world.publish(1)
    for number in range(10):
        world.ask(ahead_us=2 * HOUR if number == 5 else 0)
    report = world.verify()
    assert set(found(report)) == {"skewed clock"}
    assert {each.request_id for each in report.differences} == {"request-5"}


def test_the_command_says_what_was_found(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.publish(1)
    world.judge_by_ttl(HOUR)
    world.ask()
    world.verify()
    root = str(world.platform.context.root)
    result = CliRunner().invoke(app, ["verify", "--served", "model", "-n", "2", "--project", root])
    assert result.exit_code == 1, result.output
    assert "served values" in result.output
    assert "differ: ttl" in result.output
    later = ["verify", "--served", "--since", "2027-01-01", "--project", root]
    assert CliRunner().invoke(app, later).exit_code == 0


def test_a_share_of_the_log(world: World) -> None:
    for _ in range(40):
        world.ask([1])
    world.verify()
    some = world.platform.verify_served("model", sample=0.5)
    assert 5 < some.requests < 35
    assert world.platform.verify_served("model", sample=0.5).requests == some.requests
    with pytest.raises(UnknownNameError, match="mode"):
        world.platform.verify_served("mode")


@pytest.mark.thorough
def test_a_million_values_without_a_difference(tmp_path: Path) -> None:
    world, rng = World.make(tmp_path / "large", 2_000), random.Random(1)
    for day in range(1, 5):
        reader = OnlineReader.of(world.platform.context, "model")
        for _ in range(3_125):
            world.answer(reader, rng.sample(range(2_000), 10))
        world.publish(day)
    report = world.verify()
    assert found(report) == {}
    assert (report.comparisons, report.lost) == (1_000_000, 0)
    assert report.seconds < 30


def test_what_a_stream_served_is_compared_once_batch_has_come_as_far(tmp_path: Path) -> None:
    from tests.streaming import pings, project, write

    rows, clock = pings(400), Clock(0)
    root = project(tmp_path / "project").context.root
    platform = Platform.open(root, clock=clock)
    pace = Pace(0.0, 100, snapshot_seconds=60.0, until_idle=True, idle_seconds=3600)
    log = ServedLog.open(platform.context, clock=clock)

    def served(some: list[dict[str, Any]], request_id: str) -> None:
        write(root, "a.jsonl", some)
        clock.now = max(row["seen_at"] for row in some) + 2 * SECOND
        platform.stream("gps", pace)
        reader = OnlineReader.of(platform.context, "model")
        log.offer(
            ServedEntry(reader.service, reader.read({"driver_id": list(range(41))}, clock.now), request_id, clock.now)
        )

    served(rows[:200], "a")
    before = dict(platform.context.online.scan(b"r"))
    served(rows[200:], "b")
    store = platform.context.online
    changed = {key: value for key, value in before.items() if store.get_many([key]) != [value]}
    store.delete_many(changed)
    assert not store.put_many(changed.items())
    reader = OnlineReader.of(platform.context, "model")
    clock.now += SECOND
    log.offer(ServedEntry(reader.service, reader.read({"driver_id": list(range(41))}, clock.now), "c", clock.now))
    log.close()
    report = platform.verify_served("model")
    assert (report.comparisons, sum(report.not_comparable.values())) == (0, 3 * 41 * 4)
    platform.follow("gps", until_idle=True)
    clock.now += 60 * SECOND
    platform.backfill("driver_now", end=clock.now)
    report = platform.verify_served("model")
    assert report.comparisons == 3 * 41 * 4
    assert sum(found(report).values()) > 100
    causes = {(each.request_id, each.cause) for each in report.differences}
    assert causes == {("a", "not yet readable"), ("c", "stale record")}  # the log had some rows a moment later
