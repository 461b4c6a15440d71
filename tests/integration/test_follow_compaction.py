"""The many small files of a followed source become few, and nothing else is seen of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from headrace.lake.base import Table
from headrace.lake.layout import compact
from headrace.platform import intake
from headrace.platform.quarantine import replay_quarantine
from tests.following import Followed, streamed
from tests.ingesting import ping, pings

DAY_BEFORE = "2026-01-04T10:00:00Z"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Followed(tmp_path_factory.mktemp("followed"), streamed())
    made.write("a.jsonl", [*pings(range(240)), ping(240, lat=99), *pings(range(241, 250), ts=DAY_BEFORE)])
    made.follow(most_rows=4)
    return made.root


@pytest.fixture
def project(followed: Path, tmp_path: Path) -> Followed:
    return Followed(Path(shutil.copytree(followed, tmp_path / "project")), streamed())


def files_by_day(table: Table) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in table.files():
        found[file.partition["_hr_day"]] = found.get(file.partition["_hr_day"], 0) + 1
    return found


def test_fifty_small_files_become_one(project: Followed) -> None:
    assert len(project.ledger().batches) == 63
    assert files_by_day(project.table("bronze")) == {"2026-01-05": 14}  # put together at epoch 50
    assert files_by_day(project.table("silver")) == {"2026-01-05": 11, "2026-01-04": 3}
    for layer in ("bronze", "silver"):
        compactions = [c.metadata for c in project.table(layer).commits() if c.metadata["operation"] == "compact"]
        assert compactions == [{"operation": "compact"}]  # nothing that views take for new rows


@pytest.mark.thorough
def test_rows_replays_and_rebuilds_are_as_without(
    project: Followed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Followed(tmp_path / "other", streamed())
    other.write("a.jsonl", (project.root / "in" / "a.jsonl").read_text().splitlines())
    monkeypatch.setattr(intake, "COMPACT_EVERY", 1_000_000)
    other.follow(most_rows=4)
    assert files_by_day(other.table("bronze")) == {"2026-01-05": 63}
    for made in (project, other):
        made.source = streamed(contract=())
        replay_quarantine(made.context(), "gps")
    for layer in ("bronze", "silver", "quarantine"):
        assert_frame_equal(project.rows(layer), other.rows(layer))
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), other.rows())


def test_following_goes_on_where_it_was(project: Followed) -> None:
    project.write("a.jsonl", [ping(1), ping(300)])
    report = project.follow().ingested
    assert (report.rows_read, report.accepted, report.duplicates) == (2, 1, 1)
    assert project.ingest().batches == 0


def test_large_files_are_left_alone_and_memory_is_bounded(project: Followed) -> None:
    table, before = project.table("silver"), project.rows()
    project.write("a.jsonl", pings(range(300, 320)))
    project.follow(most_rows=1)
    sizes = sorted(file.size_bytes for file in table.files())
    limit = 2 * (sizes[-1] - 1)  # all but the largest are smaller than half of it
    version, large = table.version(), max(table.files(), key=lambda file: file.size_bytes).path
    report = compact(table, ["event_id"], "ts", least_files=3, target_bytes=limit)
    assert report.files_before > report.files_after > 0
    assert large in {file.path for file in table.files()}
    assert all(file.size_bytes <= limit for file in table.files())
    assert table.scan(version).collect().height == before.height + 20
    assert project.rows().height == before.height + 20


def test_few_files_are_left_alone(project: Followed) -> None:
    table = project.table("silver")
    version = table.version()
    assert compact(table, ["event_id"], "ts").partitions == 0
    assert table.version() == version
