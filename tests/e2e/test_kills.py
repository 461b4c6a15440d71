"""The command that kills ingests and backfills finds nothing lost, doubled or half-written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmarks.killing.comparison import differences
from benchmarks.killing.feed import Feed
from benchmarks.killing.project import make_project
from benchmarks.killing.reader import Reader
from benchmarks.killing.tally import print_tally
from benchmarks.killing.victim import run
from benchmarks.killing.wholeness import Wholeness
from benchmarks.kills import kill
from headrace.lake.base import Mode, Table

KILLS = 6 if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1" else 2
"""A few: the long run is ``python -m benchmarks.kills``."""


@pytest.mark.slow
def test_some_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = kill(kills=KILLS, seed=5, folder=tmp_path)
    print_tally(tally)
    said = capsys.readouterr().out
    assert tally.is_clean, said
    assert said.endswith("s\n")
    assert f"{KILLS} kills in" in said
    assert ": 0 lost, 0 doubled, 0 changed, 0 half-written reads;" in said
    assert tally.reading.live > 0
    assert tally.reading.versions > 10
    assert {found.table for found in tally.differences} >= {"bronze/pings", "silver/rides", "gold/driver_now"}


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
    write(tables["gold/driver_now"], lambda rows: rows.with_columns(pings=pl.col("pings") + 1), "replace")
    reader = Reader(broken)
    reader.poll()
    assert [problem.split(",")[0] for problem in reader.reading.problems] == [
        "silver/pings", "silver/pings", "silver/rides", "gold/driver_now",
    ]  # fmt: skip
    found = {one.table: one for one in differences(broken, clean)}
    assert found["silver/pings"].doubled == 5
    assert found["silver/rides"].lost == 1
    assert found["gold/driver_now"].changed == found["gold/driver_now"].rows
    assert not any(one.lost + one.doubled + one.changed for one in differences(clean, clean))


def write(table: Table, change: Callable[[pl.DataFrame], pl.DataFrame], mode: Mode) -> None:
    """Commit rows of a table again, changed."""
    parts = table.scan().collect().partition_by("_hr_day", as_dict=True)
    staged = [table.stage(change(part), {"_hr_day": str(day)}) for (day,), part in list(parts.items())[:1]]
    days = [{"_hr_day": str(day)} for (day,) in list(parts)[:1]]
    table.commit(
        staged, schema=table.schema(), mode=mode, partition_by=["_hr_day"], metadata={},
        replace_partitions=days if mode == "replace" else None,
    )  # fmt: skip
