"""The command that kills commands finds nothing lost, doubled, half-written, unaudited or mixed."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from benchmarks.killing.comparison import differences
from benchmarks.killing.feed import Feed
from benchmarks.killing.findings import BEHIND, GONE, HALF_WRITTEN, MISNUMBERED, MIXED, UNAUDITED
from benchmarks.killing.project import make_project
from benchmarks.killing.publications import misnumbered, unsettled
from benchmarks.killing.reader import Reader
from benchmarks.killing.tally import print_tally
from benchmarks.killing.victim import run
from benchmarks.killing.wholeness import Wholeness
from benchmarks.kills import kill
from headrace.lake.base import Mode, Table
from headrace.platform import Platform
from headrace.platform.candidate import Candidate, Part
from headrace.platform.extent import Extent
from headrace.platform.gold import DAY_COLUMN, Gold, state_folder
from headrace.platform.gold_staging import staged_steps
from headrace.platform.online_heads import head_key
from headrace.platform.publishing import publish
from headrace.quality.audit import Verdict
from headrace.registry.base import Publication

KILLS = 6 if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1" else 2
"""A few: the long run is ``python -m benchmarks.kills``."""


@pytest.mark.slow
@pytest.mark.thorough
def test_some_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = kill(kills=KILLS, seed=5, folder=tmp_path)
    print_tally(tally)
    said = capsys.readouterr().out
    assert tally.is_clean, said
    assert said.endswith("s\n")
    assert f"{KILLS} kills in" in said
    assert (
        ": 0 lost, 0 doubled, 0 changed, 0 unfinished, 0 unsettled; reads: 0 half-written, 0 unaudited, 0 mix" in said
    )
    assert tally.reading.live > 0
    assert tally.reading.versions > 10
    assert tally.reading.publications >= 5
    assert tally.reading.answers > 0
    assert {found.table for found in tally.differences} >= {"bronze/pings", "silver/rides", "gold/driver_now"}


@pytest.mark.thorough
@pytest.mark.slow
def test_what_is_lost_doubled_or_changed_would_be_found(tmp_path: Path) -> None:
    clean, broken = tmp_path / "clean", tmp_path / "broken"
    make_project(clean)
    Feed(seed=1).arrive(clean)
    for command in ("ingest", "backfill"):
        run(clean, [command])
    shutil.copytree(clean, broken)
    tables = Wholeness(broken).tables()
    write(tables["silver/pings"], pl.DataFrame.head, "append")
    write(tables["silver/rides"], lambda rows: rows.slice(1), "replace")
    reader = Reader(broken)
    reader.poll()
    assert reader.reading.answers > 0
    assert [finding.text.split(",")[0] for finding in reader.reading.findings] == [
        "silver/pings", "silver/pings", "silver/rides",
    ]  # fmt: skip
    assert {finding.kind for finding in reader.reading.findings} == {HALF_WRITTEN}
    found = {one.table: one for one in differences(broken, clean)}
    assert found["silver/pings"].doubled == 5
    assert found["silver/rides"].lost == 1
    assert not any(one.lost + one.doubled + one.changed for one in differences(clean, clean))


@pytest.mark.thorough
@pytest.mark.slow
def test_what_is_published_wrongly_would_be_found(tmp_path: Path) -> None:
    root = tmp_path / "project"
    platform = make_project(root)
    Feed(seed=1).arrive(root)
    for command in ("ingest", "backfill"):
        run(root, [command])
    publish_unaudited(
        platform, "driver_now", lambda steps: steps.with_columns(pl.lit(1000.0).alias("speed"), pl.col("pings") + 1)
    )
    reader = Reader(root)
    reader.poll(lag=0)
    kinds = Counter(finding.kind for finding in reader.reading.findings)
    assert kinds[HALF_WRITTEN] == 1
    assert kinds[UNAUDITED] > 10, "the publication, and each value that was read"
    assert kinds[MIXED] == 2, "online and offline: no version answers so"
    platform.context.online.put_many([(head_key("driver_rides"), b"\xff" * 40)])
    assert [finding.kind for finding in unsettled(platform)] == [BEHIND]
    table = Gold.of(platform.context, platform.definitions.view("city_wait")).table
    Path(table.location, table.files()[0].path).unlink()
    assert [finding.kind for finding in unsettled(platform)] == [GONE, BEHIND]


def test_publications_that_are_misnumbered_would_be_found() -> None:
    good = Publication("v", "f", 0, "backfill", "a", 1, 0, 0, "{}", 1, 0, "", number=1)
    assert not list(misnumbered((good, replace(good, number=2, run="b", table_version=1))))
    for wrong in (
        replace(good, number=3, run="b", table_version=1), replace(good, number=2, table_version=1),
        replace(good, number=2, run="b"), replace(good, number=2, run="b", table_version=1, token=0),
    ):  # fmt: skip
        assert [finding.kind for finding in misnumbered((good, wrong))] == [MISNUMBERED]


def publish_unaudited(platform: Platform, view: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Publish the steps of a view again, changed, as if an audit had passed them."""
    context, gold = platform.context, Gold.of(platform.context, platform.definitions.view(view))
    (segment,) = {(s.silver_version, gold.segments()[0].since, gold.segments()[-1].until) for s in gold.segments()}
    candidate = Candidate.resume_or_begin(
        state_folder(context.lake, gold), Extent(segment[1], segment[2], (), segment[0]), "unaudited"
    )
    steps = change(gold.scan().drop(DAY_COLUMN).collect())
    files = tuple(staged_steps(gold.table, steps))
    candidate.add(Part(segment[1], segment[2], opening=True, steps=len(steps), carry_digest="", files=files))
    publish(context, gold, candidate, Verdict(len(steps), (), ()))
    candidate.forget()


def write(table: Table, change: Callable[[pl.DataFrame], pl.DataFrame], mode: Mode) -> None:
    """Commit rows of a table again, changed."""
    parts = table.scan().collect().partition_by("_hr_day", as_dict=True)
    staged = [table.stage(change(part), {"_hr_day": str(day)}) for (day,), part in list(parts.items())[:1]]
    days = [{"_hr_day": str(day)} for (day,) in list(parts)[:1]]
    table.commit(
        staged, schema=table.schema(), mode=mode, partition_by=["_hr_day"], metadata={},
        replace_partitions=days if mode == "replace" else None,
    )  # fmt: skip
