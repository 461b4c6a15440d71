"""A stream's steps and the batch lane's are the same, and where they are not the row is named, or why."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from headrace.cli.main import app
from headrace.errors import DefinitionError
from headrace.online.packing_keys import record_keys
from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.platform.stream_pace import Pace
from headrace.platform.verify_stream import StreamReport
from headrace.platform.verify_stream_causes import BEHIND
from headrace.platform.verify_stream_report import NOT_GOLD, UNEXPLAINED
from headrace.platform.verify_stream_sets import BY_FILE, COPIED, LOADED, NOT_INGESTED, NOT_READ, QUARANTINED
from headrace.streaming.partitioners import partitions_of
from headrace.types import DAY, SECOND
from tests.integration.feeding import Feed
from tests.streaming import as_json, pings, project, streamed_steps, write

EVERY = Pace(0.0, 400, snapshot_seconds=60.0, every_step=True, until_idle=True, idle_seconds=3600)
SERVED_ONLY = Pace(0.0, 400, snapshot_seconds=60.0, until_idle=True, idle_seconds=3600)
MORE = """
import narwhals as nw

@hr.transform
def fast(rows):
    return rows.filter(nw.col("speed") > 3.0).with_columns(twice=nw.col("speed") * 2)

city_now = hr.FeatureView("city_now", entity=None, source=gps, features={
    "n": hr.count(), "n_2m": hr.count(window=hr.hopping("2m", hop="1m"))})
fast_now = hr.FeatureView("fast_now", entity=driver, source=gps, transform=fast, resolution="1s", features={
    "twice": hr.mean("twice", hr.sliding("2m", hop="30s")), "n": hr.count(window=hr.sliding("1m", hop="30s"))})
unserved = hr.FeatureView("unserved", entity=driver, source=gps, online=False, features={"n": hr.count()})
"""
ROWS = pings(800)
LAST = max(row["seen_at"] for row in ROWS)
POISON = b'{"torn\n{"event_id": "fast", "driver_id": 1, "zone": "z1", "speed": 80.0, "ts": "2026-01-05T08:02:00Z"}\n'


def poisoned(root: Path) -> None:
    """Rows that both lanes refuse."""
    with (root / "in" / "a.jsonl").open("ab") as file:
        file.write(POISON)


def took(platform: Platform, rows: list[dict[str, Any]], pace: Pace = EVERY) -> None:
    """Let the stream read rows."""
    write(platform.context.root, "a.jsonl", rows)
    platform.stream("gps", pace)


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has streamed and followed the same rows: late ones, copies, some refused; it is copied."""
    root = tmp_path_factory.mktemp("verify-stream") / "project"
    platform = project(root, more=MORE)
    took(platform, ROWS[:450])
    poisoned(root)
    took(platform, ROWS[450:])
    platform.follow("gps", until_idle=True)
    platform.context.online.close()
    return root


@pytest.fixture
def platform(streamed: Path, tmp_path: Path) -> Iterator[Platform]:
    shutil.copytree(streamed, tmp_path / "project")
    opened = Platform.open(tmp_path / "project")
    yield opened
    opened.context.online.close()


def only(platform: Platform, view: str = "driver_now") -> StreamReport:
    (report,) = platform.verify_stream(view)
    return report


def causes(report: StreamReport) -> set[str]:
    """The causes that were found; the first differences are the message of a failing test."""
    assert report.unexplained == 0, [str(each) for each in report.differences[:10]]
    return set(report.by_cause)


def command(platform: Platform, *arguments: str) -> tuple[int, str]:
    platform.context.online.close()
    result = CliRunner().invoke(app, ["verify", "--stream", *arguments, "--project", str(platform.context.root)])
    return result.exit_code, result.output


def rewritten(platform: Platform, change: Callable[[pl.DataFrame], pl.DataFrame], view: str = "driver_now") -> None:
    """Put other rows in the place of a view's streamed steps."""
    steps = streamed_steps(platform, view)
    table = platform.context.lake.table("streamed", view, _fingerprint(platform, view))
    parts = change(steps).partition_by("_hr_day", as_dict=True)
    staged = [table.stage(part, {"_hr_day": str(day[0])}) for day, part in parts.items()]
    table.commit(staged, schema=steps.schema, mode="replace", partition_by=["_hr_day"], metadata={})


def _fingerprint(platform: Platform, view: str) -> str:
    from headrace.definitions.fingerprint import view_fingerprint

    return view_fingerprint(platform.definitions.view(view))


# ---------------------------------------------------------------- equal


def test_all_views_agree_with_silver_and_with_gold(platform: Platform) -> None:
    computed = {report.view: report for report in platform.verify_stream()}
    assert set(computed) == {"driver_now", "zone_now", "city_now", "fast_now"}
    for view in ("driver_now", "city_now", "fast_now"):
        platform.backfill(view)
    for report in platform.verify_stream():
        assert causes(report) == causes(computed[report.view]) == set()
        assert report.compared == report.streamed == computed[report.view].compared > 100
        assert report.served == (1 if report.view == "city_now" else 9 if report.view == "zone_now" else 40)
        assert report.from_gold == (0 if report.view == "zone_now" else report.compared)
        assert computed[report.view].from_gold == 0
    status, said = command(platform)
    assert status == 0
    assert "steps are the same in the stream (generation 1)" in said
    assert "40 of 40 entities are served" in said


def test_rows_that_came_since_make_a_part_of_gold_old_and_that_is_computed(platform: Platform) -> None:
    platform.backfill("driver_now", end=LAST - 60 * SECOND)
    took(platform, pings(300, seed=2, start=LAST + SECOND))
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == set()
    assert 0 < report.from_gold < report.compared


# ---------------------------------------------------------------- faults


def without(place: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda steps: pl.concat([steps[:place], steps[place + 1 :]])


def changed(place: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    at = pl.int_range(pl.len()) == place
    return lambda steps: steps.with_columns(pl.when(at).then(pl.col("total") + 0.001).otherwise("total").alias("total"))


def doubled(place: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda steps: pl.concat([steps, steps[place : place + 1]])


@pytest.mark.parametrize(
    ("kind", "fault", "published"),
    [("missing", without, False), ("different", changed, True), ("doubled", doubled, False)],
)
def test_a_fault_in_the_streams_steps_is_named(platform: Platform, kind: str, fault: Any, published: bool) -> None:
    if published:
        platform.backfill("driver_now")
    step = streamed_steps(platform, "driver_now").row(500, named=True)
    rewritten(platform, fault(500))
    report = only(platform)
    assert report.by_cause == {UNEXPLAINED: 1}
    (found,) = report.differences
    assert (found.kind, found.key) == (kind, {"driver_id": step["driver_id"]})
    assert found.at == int(step["valid_from"].timestamp() * 1e6 + 0.5)
    if kind == "different":
        assert set(found.streamed or {}) == set(found.batch or {}) == {"total"}
    status, said = command(platform, "driver_now")
    assert status == 1
    assert f"driver_id={step['driver_id']} at 2026-01-05T08:" in said


def test_a_step_of_the_stream_alone_is_named(platform: Platform) -> None:
    moved = pl.col("valid_from") + pl.duration(microseconds=7)
    rewritten(platform, lambda steps: pl.concat([steps, steps[40:41].with_columns(moved)]))
    report = only(platform)
    assert report.by_cause == {UNEXPLAINED: 1}
    assert report.differences[0].kind == "extra"


def test_a_record_that_is_served_otherwise_is_named(platform: Platform) -> None:
    (key,) = record_keys(_fingerprint(platform, "driver_now"), pl.DataFrame({"driver_id": [7]}))
    assert key is not None
    platform.context.online.delete_many([key])
    report = only(platform)
    assert report.by_cause == {UNEXPLAINED: 1}
    (found,) = report.differences
    assert (found.kind, found.key, found.at) == ("served", {"driver_id": 7}, report.cut)
    assert (found.streamed or {})["n"] == "NOT_FOUND"


def test_gold_that_is_not_what_silver_gives_is_told_from_a_fault_of_the_stream(platform: Platform) -> None:
    platform.backfill("driver_now")
    gold = Gold.of(platform.context, platform.definitions.view("driver_now"))
    (file,) = gold.files()
    path = Path(gold.table.location) / file.path
    one_more = pl.when(pl.int_range(pl.len()) == 9).then(pl.col("n") + 1).otherwise("n").alias("n")
    pl.read_parquet(path).with_columns(one_more).write_parquet(path)
    for entry in (Path(gold.table.location) / "_delta_log").glob("*.json"):
        entry.write_text(entry.read_text().replace(f'"size":{file.size_bytes},', f'"size":{path.stat().st_size},'))
    report = only(platform)
    assert report.by_cause == {NOT_GOLD: 1}
    assert report.unexplained == 1


# ---------------------------------------------------------------- differences that are right


def test_a_stream_ahead_of_the_batch_lane_is_explained_and_a_fault_is_found_all_the_same(platform: Platform) -> None:
    took(platform, pings(500, seed=2, start=LAST + SECOND))
    report = only(platform)
    assert causes(report) == {NOT_INGESTED}
    assert report.by_cause[NOT_INGESTED] > 400
    rewritten(platform, without(len(streamed_steps(platform, "driver_now")) - 1))
    report = only(platform)
    assert report.by_cause[UNEXPLAINED] == 1
    assert command(platform)[0] == 1


def test_rows_behind_those_that_the_stream_has_read(platform: Platform) -> None:
    row = {**ROWS[0], "event_id": "later", "seen_at": LAST - 20 * SECOND}
    write(platform.context.root, "a.jsonl", [row])
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == {NOT_READ}
    assert {each.key["driver_id"] for each in report.differences} == {row["driver_id"]}


def test_rows_that_came_by_files_alone(platform: Platform) -> None:
    write(platform.context.root, "b.jsonl", [{**ROWS[3], "event_id": "by file"}], folder="landing")
    platform.ingest("gps")
    assert causes(only(platform)) == {BY_FILE}


@pytest.mark.parametrize("strict", ["stream", "batch"])
def test_a_row_that_one_lane_alone_refused(tmp_path: Path, strict: str) -> None:
    platform, rows = project(tmp_path), [*ROWS[:600]]
    rows[300] = {**rows[300], "event_id": "fast", "speed": 60.0}
    text = (tmp_path / "features.py").read_text()
    limits = (text.replace('between("speed", 0, 70)', 'between("speed", 0, 50)'), text)

    def under(number: int) -> Platform:
        platform.context.online.close()
        (tmp_path / "features.py").write_text(limits[number])
        return Platform.open(tmp_path)

    platform = under(0 if strict == "stream" else 1)
    platform.apply()
    took(platform, rows)
    platform = under(1 if strict == "stream" else 0)
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == {QUARANTINED}
    assert {each.key["driver_id"] for each in report.differences} == {rows[300]["driver_id"]}


def test_of_copies_in_two_epochs_the_one_that_the_stream_read_first(platform: Platform) -> None:
    rows = pings(200, seed=2, start=LAST + SECOND)
    twice = {**rows[120], "event_id": "twice"}
    took(platform, [*rows[:120], {**twice, "seen_at": twice["seen_at"] + 5 * SECOND}])
    took(platform, [twice, *rows[120:]])
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == {COPIED}
    assert {each.key["driver_id"] for each in report.differences} == {twice["driver_id"]}


def test_rows_that_came_behind_the_cut(tmp_path: Path) -> None:
    platform = project(tmp_path, arrival=False)
    took(platform, ROWS)
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == {BEHIND}
    rewritten(platform, without(3))
    assert only(platform).by_cause[UNEXPLAINED] == 1


# ---------------------------------------------------------------- generations


def test_a_lane_that_began_with_a_publication_is_compared_from_there(tmp_path: Path) -> None:
    platform = project(tmp_path)
    write(tmp_path, "a.jsonl", ROWS[:400])
    platform.follow("gps", until_idle=True)
    frontier = max(row["seen_at"] for row in ROWS[:350])
    platform.backfill("driver_now", end=frontier)
    took(platform, ROWS[400:])
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == set()
    assert report.since == frontier
    assert 100 < report.compared < len(ROWS)
    row = {**ROWS[0], "event_id": "known before", "seen_at": frontier - 5 * SECOND}
    took(platform, [row])
    platform.follow("gps", until_idle=True)
    assert causes(only(platform)) == {LOADED}


def test_after_a_rollback_only_the_newest_generation_is_compared(platform: Platform) -> None:
    platform.backfill("driver_now", end=LAST - 200 * SECOND)
    platform.backfill("driver_now", end=LAST - 100 * SECOND)
    rewritten(platform, without(5))
    platform.rollback("driver_now")
    platform.stream("gps", EVERY)
    assert "is held" in only(platform).said
    platform.release("driver_now")
    took(platform, pings(300, seed=3, start=LAST + SECOND))
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert report.generation > 1
    assert causes(report) == set()
    assert 100 < report.compared < 700


def test_a_new_definition_is_compared_by_itself(platform: Platform) -> None:
    rewritten(platform, without(5))
    path = platform.context.root / "features.py"
    path.write_text(path.read_text().replace('"n": hr.count(),\n', '"n": hr.count(), "most": hr.max("speed"),\n'))
    platform.context.online.close()
    again = Platform.open(platform.context.root)
    again.apply()
    assert "is not streamed as it is defined now" in only(again).said
    took(again, pings(300, seed=3, start=LAST + SECOND))
    again.follow("gps", until_idle=True)
    report = only(again)
    assert causes(report) == set()
    assert 100 < report.compared < len(ROWS)
    again.context.online.close()


# ---------------------------------------------------------------- nothing, or not all


def test_without_steps_in_the_lake_what_is_served_is_compared(tmp_path: Path) -> None:
    platform = project(tmp_path, sinks="online")
    took(platform, ROWS[:600], SERVED_ONLY)
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == set()
    assert (report.compared, report.served, report.has_steps) == (0, 40, False)
    status, said = command(platform)
    assert status == 0
    assert 'stream_sinks = "online, lake"' in said


def test_what_was_never_streamed_or_ingested_says_so(tmp_path: Path) -> None:
    platform = project(tmp_path, more=MORE)
    assert "was never streamed. Run: headrace stream --source gps" in only(platform).said
    took(platform, [])
    assert "headrace ingest gps --follow --until-idle" in only(platform).said
    took(platform, ROWS[:50])
    status, said = command(platform)
    assert status == 0
    assert "nothing of its source was ingested" in said
    with pytest.raises(DefinitionError, match="is not served from a stream"):
        platform.verify_stream("unserved")


def test_a_stream_without_an_accepted_row(tmp_path: Path) -> None:
    platform = project(tmp_path, more=MORE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(POISON)
    platform.stream("gps", EVERY)
    platform.follow("gps", until_idle=True)
    for report in platform.verify_stream():
        assert causes(report) == set()
        assert report.compared == 0
    assert command(platform)[0] == 0


def test_a_view_whose_records_have_expired(tmp_path: Path) -> None:
    platform = project(tmp_path)
    late = [{**row, "ts": row["ts"] + 30 * DAY, "seen_at": row["seen_at"] + 30 * DAY} for row in pings(100, seed=8)]
    took(platform, [row for row in ROWS[:400] if row["zone"] != "z1"])
    write(tmp_path, "a.jsonl", [{**row, "zone": "z1"} for row in late])
    platform.stream(
        "gps",
        Pace(0.0, 50, every_step=True, until_idle=True, idle_seconds=3600, sweep_seconds=0.0, snapshot_seconds=0.0),
    )
    platform.follow("gps", until_idle=True)
    assert causes(only(platform)) == set()
    report = only(platform, "zone_now")
    assert causes(report) <= {"the record expired"}
    assert report.served_differing > 0


# ---------------------------------------------------------------- several workers


@pytest.mark.kafka
@pytest.mark.thorough
def test_several_workers_are_compared_each_as_of_its_own_cut(tmp_path: Path, kafka_bootstrap: str) -> None:
    feed = Feed.new(kafka_bootstrap)
    platform = project(tmp_path, stream=f'hr.Kafka("{feed.topic}", key="driver_id")', kafka=kafka_bootstrap)
    text = (tmp_path / "features.py").read_text()
    by_zone = text[text.index("zone_now = ") : text.index("model = ")]
    text = text.replace(by_zone, "").replace('zones = hr.FeatureService("zones", features=[zone_now])', "")
    (tmp_path / "features.py").write_text(text)
    platform = Platform.open(tmp_path)
    platform.apply()
    homes = partitions_of(pl.Series([row["driver_id"] for row in ROWS]), "murmur2", 2).tolist()
    feed.send_raw(zip(map(as_json, ROWS), homes, strict=True))
    platform.stream("gps", replace(EVERY, most_rows=150), workers=2)
    platform.follow("gps", until_idle=True)
    report = only(platform)
    assert causes(report) == set()
    assert report.compared == report.streamed > 400
    assert report.served == 40
    assert len({each.cut for each in platform.stream_status("gps")}) == 2
