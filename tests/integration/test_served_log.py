"""The log of what was served: whole, typed, masked, from several processes, through kills and overload."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from headrace.errors import SettingsError
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.served_log import ServedEntry, ServedLog
from headrace.platform.served_log_tables import prune_all, tables_of
from headrace.types import DAY
from tests.integration.pings import put
from tests.integration.serving_log import START, World

MASKED = """
import headrace as hr

person = hr.Entity("person", keys={"phone": hr.String})
pings = hr.EventSource(
    "pings", schema={"ping_id": hr.String, "phone": hr.String, "ts": hr.Timestamp, "n": hr.Int64}, event_time="ts",
    personal={"phone": hr.mask.hmac()},
)
person_now = hr.FeatureView("person_now", entity=person, source=pings, features={"rows": hr.count()})
plain = hr.FeatureService("plain", features=[person_now])
model = hr.FeatureService("model", features=[person_now.alias("caller", keys={"phone": "from_phone"})])
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("served") / "project")


@pytest.fixture
def empty(world: World) -> World:
    """The world with an empty log."""
    world.log.close()
    for table in list(tables_of(world.platform.context.lake, "model")):
        table.delete()
    return World(world.platform, world.clock, world.drivers)


def logged(platform: Platform, service: str = "model") -> pl.DataFrame:
    tables = tables_of(platform.context.lake, service)
    return pl.concat([table.scan().collect() for table in tables], how="diagonal_relaxed")


def entry(world: World, request_id: str, drivers: int = 4) -> ServedEntry:
    reader = OnlineReader.of(world.platform.context, "model")
    answer = reader.read({"driver_id": list(range(drivers))}, world.clock())
    return ServedEntry(reader.service, answer, request_id, world.clock() + 5_000, "key-1")


def test_a_row_an_entity_with_values_statuses_times_and_versions(empty: World) -> None:
    answer = empty.ask([3, 10_000])
    empty.log.close()
    found = logged(empty.platform)
    assert found["driver_id"].to_list() == [3, 10_000]
    assert found.select(list(answer.types)).rows() == [
        tuple(pl.Series([v], dtype=found.schema[name])[0] for name, v in zip(answer.types, row, strict=True))
        for row in answer.rows
    ]
    assert found["driver_now__rows__status"].to_list() == ["PRESENT", "NOT_FOUND"]
    assert found["_hr_driver_now__event_time"].dt.epoch("us").to_list() == list(answer.time_columns[0])
    assert found["_hr_driver_now__number"].to_list() == [1, 1]
    assert found["_hr_row"].to_list() == [0, 1]
    assert found["_hr_at"].dt.epoch("us").unique().to_list() == [answer.at]
    assert found.schema["driver_now__rows"] == pl.Int64
    assert (empty.log.written, empty.log.dropped) == (16, 0)


def test_a_share_is_chosen_by_the_requests_id_alone(empty: World) -> None:
    made = entry(empty, "")
    logs = [ServedLog.open(empty.platform.context, 0.25, clock=empty.clock) for _ in range(2)]
    ids = [f"{number}-{number * 7919}" for number in range(2_000)]
    assert 400 < sum(map(logs[0].takes, ids)) < 600
    assert [*map(logs[0].takes, ids)] == [*map(logs[1].takes, ids)]
    for each in ids:
        logs[0].offer(ServedEntry(made.service, made.answer, each, made.answered_us))
    for log in logs:
        log.close()
    assert set(logged(empty.platform)["_hr_request"]) == {each for each in ids if logs[1].takes(each)}
    with pytest.raises(SettingsError, match="from 0 to 1"):
        ServedLog.open(empty.platform.context, 1.5)


def test_what_does_not_fit_the_queue_is_dropped_and_told(empty: World) -> None:
    log = ServedLog.open(empty.platform.context, clock=empty.clock, seconds=60, most_waiting=100)
    made = entry(empty, "a")
    for _ in range(10):
        log.offer(made)
    assert log.dropped == 7
    log.close()
    found = logged(empty.platform)
    assert found["_hr_lost"].drop_nulls().to_list() == [7]
    assert found["_hr_request"].drop_nulls().len() == 3 * 4
    log.offer(made)
    assert log.dropped == 8


def test_a_lake_that_cannot_be_written_never_stops_the_server(empty: World) -> None:
    folder = empty.platform.context.lake.folder("served")
    kept = folder.rename(folder.with_name("kept")) if folder.exists() else None
    folder.write_text("no folder")
    try:
        empty.log.offer(entry(empty, "a"))
        empty.log.flush()
        assert empty.log.dropped == 1
    finally:
        folder.unlink()
        if kept is not None:
            kept.rename(folder)
    empty.log.offer(entry(empty, "b"))
    empty.log.close()
    found = logged(empty.platform)
    assert set(found["_hr_request"].drop_nulls()) == {"b"}
    assert found["_hr_lost"].sum() == 1


def test_a_service_gains_features_and_one_changes_its_type(empty: World) -> None:
    made = entry(empty, "a")
    names = list(made.answer.types)
    empty.log.offer(made)
    empty.log.flush()
    import msgspec

    from headrace.types import DataType

    more = msgspec.structs.replace(
        made.answer,
        types={**made.answer.types, "driver_now__more": DataType("String")},
        rows=[(*row, "x") for row in made.answer.rows], statuses=[(*row, 0) for row in made.answer.statuses],
        time_columns=[*made.answer.time_columns, made.answer.time_columns[0]],
    )  # fmt: skip
    empty.log.offer(ServedEntry(made.service, more, "b", made.answered_us))
    empty.log.flush()
    retyped = msgspec.structs.replace(made.answer, types={**made.answer.types, names[0]: DataType("Float64")})
    empty.log.offer(ServedEntry(made.service, retyped, "c", made.answered_us))
    empty.log.close()
    tables = list(tables_of(empty.platform.context.lake, "model"))
    assert [table.schema().get(names[0]) for table in tables] == [pl.Int64, pl.Float64]
    first = tables[0].scan().collect()
    assert dict(zip(first["_hr_request"], first["driver_now__more"], strict=True)) == {"a": None, "b": "x"}


def test_masked_keys_are_never_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MASK_KEY", "a key for tests that is long")
    root = tmp_path / "masked"
    root.mkdir()
    (root / "headrace.toml").write_text('name = "masked"\nmodule = "features"\n')
    (root / "features.py").write_text(MASKED)
    clock = START + DAY
    platform = Platform.open(root, clock=lambda: clock)
    platform.apply()
    from headrace.quality.masking import mask_frame

    rows = pl.DataFrame({"ping_id": ["a", "b"], "phone": ["+49 30", "+49 40"], "ts": [START, START + 1], "n": [1, 2]})
    masked = mask_frame(rows, platform.definitions.source("pings"))
    put(platform, masked.to_dicts())
    platform.backfill("person_now", end=clock)
    log = ServedLog.open(platform.context, clock=lambda: clock)
    for service, column in (("model", "from_phone"), ("plain", "phone")):
        reader = OnlineReader.of(platform.context, service)
        answer = reader.read({column: ["+49 30", "+49 99"]}, clock)
        log.offer(ServedEntry(reader.service, answer, "r", clock))
    log.close()
    for service, column in (("model", "from_phone"), ("plain", "phone")):
        found = logged(platform, service)
        assert found[column][0] == masked["phone"][0]
        assert "+49" not in str(found.to_dicts())
    clock += DAY
    platform.backfill("person_now", end=clock)
    report = platform.verify_served()
    assert (report.comparisons, report.equal, report.not_comparable) == (4, 4, {})


def test_old_days_are_pruned(empty: World) -> None:
    made = entry(empty, "a")
    for day in range(4):
        empty.log.offer(ServedEntry(made.service, made.answer, f"{day}", START + day * DAY))
    empty.log.close()
    lake = empty.platform.context.lake
    prune_all(lake, 1, START + 3 * DAY + 5)
    assert set(logged(empty.platform)["_hr_day"]) == {"2026-01-07", "2026-01-08"}
    (table,) = tables_of(lake, "model")
    assert table.scan().collect().height == 8


CHILD = """
import sys
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.served_log import ServedEntry, ServedLog
root, now, name, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
platform = Platform.open(root, clock=lambda: now)
log = ServedLog.open(platform.context, clock=lambda: now, seconds=0.05)
reader = OnlineReader.of(platform.context, "model")
answer = reader.read({"driver_id": [1, 2]}, now)
import time
for number in range(count):
    log.offer(ServedEntry(reader.service, answer, f"{name}-{number}", now))
    time.sleep(0.002)
    if number % 50 == 49:
        print(number, flush=True)
log.close()
print("closed", flush=True)
"""


def test_workers_write_at_once_and_one_is_killed(empty: World) -> None:
    root = str(empty.platform.context.root)
    arguments = [sys.executable, "-c", CHILD, root, str(empty.clock.now)]
    workers = [
        subprocess.Popen([*arguments, name, count], stdout=subprocess.PIPE, text=True)
        for name, count in (("a", "400"), ("b", "400"), ("killed", "100000"))
    ]
    try:
        assert workers[2].stdout is not None
        for _ in range(8):
            workers[2].stdout.readline()
        time.sleep(0.1)
        os.kill(workers[2].pid, signal.SIGKILL)
        assert [each.wait(timeout=30) for each in workers] == [0, 0, -signal.SIGKILL]
    finally:
        for each in workers:
            each.kill()
            assert each.stdout is not None
            each.stdout.close()
            each.wait()
    ids = logged(empty.platform)["_hr_request"].to_list()
    for name in ("a", "b"):
        assert sum(each.startswith(f"{name}-") for each in ids) == 400 * 2
    killed = {int(each.removeprefix("killed-")) for each in ids if each.startswith("killed")}
    assert killed == set(range(len(killed)))
    assert len(killed) > 100
