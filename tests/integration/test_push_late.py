"""Rows that are pushed late: they count from when they were pushed, in the stream as in the batch lane."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.types import SECOND
from tests.integration.test_push import logged

ALL = Pace(0.0, 3, every_step=True, until_idle=True, idle_seconds=3600)
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={{"id": hr.Int64}})
gps = hr.EventSource(
    "gps", schema={{"event_id": hr.String, "id": hr.Int64, "ts": hr.Timestamp, "seen": hr.Timestamp, "n": hr.Int64}},
    event_time="ts", {more} batch=hr.Files("{batch}"), stream=hr.Files("in/*.jsonl"))
now = hr.FeatureView("now", entity=driver, source=gps, features={{
    "n": hr.last("n"), "rows": hr.count(), "total_1h": hr.sum("n", window=hr.sliding("1h", hop="1m"))}})
model = hr.FeatureService("model", features=[now])
"""
SEEN = 'available_time="seen",'
ONCE_EACH = 'dedupe_on="event_id",'


def project(root: Path, more: str = "", batch: str = "landing/*.parquet") -> Platform:
    """A project that is applied."""
    root.mkdir(exist_ok=True)
    (root / "headrace.toml").write_text('name = "city"\nmodule = "features"\nstream_sinks = "online, lake"\n')
    (root / "features.py").write_text(FEATURES.format(more=more, batch=batch))
    platform = Platform.open(root)
    platform.apply()
    return platform


def row(number: int, at: datetime, key: int = 1) -> dict[str, Any]:
    """A row that happened and was seen at a time."""
    return {"event_id": f"e{number}", "id": key, "ts": at, "seen": at, "n": number}


def landed(root: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a file of the batch lane."""
    (root / "landing").mkdir(exist_ok=True)
    pl.DataFrame(rows).write_parquet(root / "landing" / f"{time.time_ns()}.parquet")


def published(root: Path, more: str = "") -> tuple[Platform, datetime]:
    """A project with a row an hour old that was published; and a time before that publication."""
    platform, before = project(root, more), datetime.now(UTC) - timedelta(minutes=5)
    landed(root, [row(1, before - timedelta(minutes=55))])
    platform.ingest()
    platform.backfill("now")
    return platform, before


def served(platform: Platform) -> dict[str, Any]:
    """What is served of the one driver now."""
    found: dict[str, Any] = platform.online("model", {"id": [1]}).to_dicts()[0]
    return {name.removeprefix("now__"): value for name, value in found.items() if name != "id"}


@pytest.mark.parametrize("more", ["", SEEN, ONCE_EACH, SEEN + ONCE_EACH])
def test_a_row_of_a_time_before_the_publication_that_is_pushed_after_it_is_served(tmp_path: Path, more: str) -> None:
    platform, before = published(tmp_path, more)
    platform.push("gps", [row(2, before)])
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 2, "rows": 2, "total_1h": 3}
    platform.push("gps", [row(3, datetime.now(UTC)), row(4, before - timedelta(minutes=10))])
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 3, "rows": 4, "total_1h": 10}
    platform.follow("gps", until_idle=True)
    (report,) = platform.verify_stream()
    assert (report.unexplained, report.served_differing) == (0, 0), report
    assert report.served == 1
    platform.backfill("now")
    (report,) = platform.verify_stream()
    assert (report.unexplained, report.served_differing) == (0, 0), report


@pytest.mark.parametrize("more", ["", SEEN, ONCE_EACH])
def test_what_was_pushed_before_the_publication_counts_once(tmp_path: Path, more: str) -> None:
    """Rows that the publication has from the log are not read again; those that came when it was computed are."""
    platform, before = project(tmp_path, more), datetime.now(UTC) - timedelta(minutes=5)
    landed(tmp_path, [row(1, before - timedelta(minutes=20))])
    platform.ingest()
    platform.push("gps", [row(2, before), row(3, before - timedelta(minutes=10))])
    platform.follow("gps", until_idle=True)
    platform.push("gps", [row(4, before - timedelta(minutes=2))])
    platform.backfill("now")
    platform.push("gps", [row(5, before - timedelta(minutes=3))])
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 2, "rows": 5, "total_1h": 15}
    platform.follow("gps", until_idle=True)
    platform.backfill("now")
    (report,) = platform.verify_stream()
    assert (report.unexplained, report.served_differing, report.served) == (0, 0, 1), report


def test_a_row_that_came_by_files_and_is_pushed_later_counts_once(tmp_path: Path) -> None:
    platform, before = published(tmp_path, ONCE_EACH)
    platform.push("gps", [row(1, before - timedelta(minutes=55)), row(2, before)])
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 2, "rows": 2, "total_1h": 3}


def test_streamed_steps_are_those_of_the_batch_lane_and_of_the_stamps_alone(tmp_path: Path) -> None:
    """The files that were pushed are ingested as files too, into another project."""
    start = datetime.now(UTC) - timedelta(minutes=30)
    platform, others = project(tmp_path / "a", ONCE_EACH), project(tmp_path / "b", ONCE_EACH, "in/*.jsonl")
    rows = [row(number, start + timedelta(seconds=(number * 577) % 1500), number % 3) for number in range(40)]
    for at in range(0, len(rows), 8):
        platform.push("gps", [*rows[at : at + 8], *rows[max(0, at - 2) : at]])  # some are sent again
    platform.stream("gps", ALL)
    (tmp_path / "b" / "in").mkdir()
    for file in (tmp_path / "a" / "in").iterdir():
        (tmp_path / "b" / "in" / file.name).write_bytes(file.read_bytes())
    assert others.ingest()["gps"].accepted == len(rows)
    others.backfill("now", end=datetime.now(UTC))
    batch = others.context.lake.table("silver", "gps").scan().sort("event_id").collect()
    stamps = {line["event_id"]: line["_hr_appended"] for line in reversed(logged(tmp_path / "a"))}
    assert dict(batch.select("event_id", pl.col("_hr_known").dt.epoch("us")).iter_rows()) == stamps
    platform.follow("gps", until_idle=True)
    followed = platform.context.lake.table("silver", "gps").scan().sort("event_id").collect()
    same = ["event_id", "id", "ts", "seen", "n", "_hr_known", "_hr_available", "_hr_arrived"]
    assert followed.select(same).equals(batch.select(same))
    (report,) = platform.verify_stream()
    assert (report.unexplained, report.served_differing, report.served) == (0, 0, 3)
    assert report.compared > 0
    last = max(stamps.values()) + 1
    for key in range(3):
        mine = [each for each in rows if each["id"] == key]
        newest = max(mine, key=lambda each: each["ts"])
        wanted = {"now__n": newest["n"], "now__rows": len(mine), "now__total_1h": sum(each["n"] for each in mine)}
        for answering in (platform, others):
            found = answering.online("model", {"id": [key]}, at=last + SECOND // 1000).to_dicts()[0]
            assert {name: found[name] for name in wanted} == wanted


def test_lines_without_a_stamp_count_from_when_they_happened(tmp_path: Path) -> None:
    platform, before = published(tmp_path)
    (tmp_path / "in").mkdir()
    now = datetime.now(UTC)
    lines = [json.dumps(row(2, before), default=str), json.dumps(row(3, now), default=str)]
    (tmp_path / "in" / "others.jsonl").write_text("".join(f"{line}\n" for line in lines))
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 3, "rows": 2, "total_1h": 4}  # the first is taken for one that was published
    platform.follow("gps", until_idle=True)
    silver = platform.context.lake.table("silver", "gps").scan().filter(pl.col("n") == 3).collect()
    assert silver["_hr_known"].to_list() == [now]


def test_stamps_that_are_none_are_refused_and_one_of_the_future_waits_for_it(tmp_path: Path) -> None:
    platform = project(tmp_path, ONCE_EACH.replace(",", ", max_rejected_share=1.0,"))
    now = datetime.now(UTC)
    platform.push("gps", [row(1, now)])
    (file,) = (tmp_path / "in").iterdir()
    later = int((now + timedelta(hours=1)).timestamp()) * SECOND
    text = json.dumps(row(2, now), default=str)[1:]
    for stamp in ('"2026"', "-1", "1e15", str(later)[:15], f"{later}0", f" {later}"):
        with file.open("a") as more:
            more.write(f'{{"_hr_appended":{stamp},{text}\n')
    with file.open("a") as more:
        more.write(f'{{"_hr_appended":{later},{text.replace("e2", "e3")}\n')
    platform.stream("gps", ALL)
    assert platform.stream_status()[0].rejected == 6
    assert served(platform) == {"n": 1, "rows": 1, "total_1h": 1}
    platform.push("gps", [row(4, datetime.now(UTC))])  # into a file whose stamps are not of the future
    assert len(list((tmp_path / "in").iterdir())) == 2
    platform.stream("gps", ALL)
    assert served(platform) == {"n": 4, "rows": 2, "total_1h": 5}
    at = platform.online("model", {"id": [1]}, at=later + SECOND).to_dicts()[0]
    assert at["now__rows"] == 3
    platform.follow("gps", until_idle=True)
    silver = platform.context.lake.table("silver", "gps").scan().collect()
    assert sorted(silver["event_id"]) == ["e1", "e3", "e4"]
    with pytest.raises(Exception, match="_hr_appended"):
        platform.push("gps", [{**row(5, now), "_hr_appended": later}])
