"""Tables after many small ingests: laid out anew, with the same rows; and what is said of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.errors import RejectedError, UnknownNameError
from headrace.platform.optimize import optimize_tables
from headrace.platform.status import source_status
from tests.ingesting import Project, gps, ping, pings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    for place in range(4):
        made.put(f"{place}.jsonl", [*pings(range(place * 5, place * 5 + 5)), ping(100 + place, lat=99)])
        made.ingest()
    return made


def test_small_files_become_one_with_the_same_rows(project: Project) -> None:
    silver, bronze = project.rows(), project.rows("bronze")
    reports = optimize_tables(project.context())
    assert {name: (r.files_before, r.files_after) for name, r in reports.items()} == {
        "bronze/gps": (4, 1), "silver/gps": (4, 1),
    }  # fmt: skip
    assert project.rows().equals(silver)
    assert project.rows("bronze").equals(bronze)
    laid_out = project.table("silver").scan().collect()
    assert laid_out["event_id"].is_sorted()
    assert optimize_tables(project.context(), "gps")["silver/gps"].partitions == 0


def test_ingest_and_rebuild_go_on_after_an_optimize(project: Project) -> None:
    optimize_tables(project.context())
    assert project.ingest().batches == 0
    project.put("9.jsonl", [ping(3), ping(50)])
    assert project.ingest().duplicates == 1
    before = project.rows()
    project.ingest(rebuild=True)
    assert project.rows().equals(before)


def test_an_unknown_table_is_told(project: Project) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gps'"):
        optimize_tables(project.context(), "gsp")


def test_status_tells_how_far_a_source_has_come(project: Project) -> None:
    project.put("new.jsonl", pings(range(900, 903)))
    (status,) = source_status(project.context())
    assert (status.source, status.rows, status.files, status.new_files, status.stopped_batches) == ("gps", 20, 4, 1, 0)
    assert status.quarantined == {"lat between -90 and 90": 4}
    assert status.last_arrived == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert status.known_through == datetime(2026, 1, 5, 10, 19, tzinfo=UTC)


def test_status_of_nothing_and_of_a_stopped_batch(tmp_path: Path) -> None:
    project = Project(tmp_path, gps(max_rejected_share=0.0))
    (status,) = source_status(project.context())
    assert (status.rows, status.last_arrived, status.new_files) == (0, None, 0)
    project.put("a.jsonl", [ping(0), ping(1, lat=91)])
    with pytest.raises(RejectedError):
        project.ingest()
    (status,) = source_status(project.context())
    assert (status.rows, status.stopped_batches, status.new_files) == (0, 1, 0)
