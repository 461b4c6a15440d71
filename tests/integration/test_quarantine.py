"""Refused rows: listed, shown, and given another chance."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.errors import NotAppliedError, RejectedError, SourceError
from headrace.platform.quarantine import list_quarantine, replay_quarantine, show_quarantine
from tests.ingesting import Project, gps, ping, pings

HOUR = 3_600_000_000


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.put("a.jsonl", [*pings(range(5)), ping(5, lat=91), ping(6, lat=92, status="lost"), ping(7, lat=93), "{torn"])
    made.ingest()
    return made


def mended(**options: Any) -> hr.EventSource:
    return gps(contract=[hr.check.between("lat", -90, 92)], **options)


def test_reasons_are_counted(project: Project) -> None:
    found = list_quarantine(project.context())
    assert [(r.source, r.column, r.reason, r.rows) for r in found] == [
        ("gps", "lat", "lat between -90 and 90", 3),
        ("gps", "status", "status in ['free', 'busy']", 1),
        ("gps", None, "unparsable line", 1),
    ]
    assert found[0].example == "91.0"
    assert found[0].last_arrived == datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_rows_are_shown_with_their_origin(project: Project) -> None:
    rows = show_quarantine(project.context(), "gps")
    assert rows["_hr_row"].to_list() == [6, 7, 8, 9]
    assert '"lat":91.0' in rows["row"][0]
    assert rows["found"].to_list()[3] == ["{torn"]
    assert show_quarantine(project.context(), "gps", reason="status in").height == 1
    assert show_quarantine(project.context(), "gps", limit=2).height == 2


def test_nothing_is_shown_where_nothing_is(tmp_path: Path) -> None:
    empty = Project(tmp_path)
    assert list_quarantine(empty.context()) == []
    assert show_quarantine(empty.context(), "gps").is_empty()
    assert replay_quarantine(empty.context(), "gps").replayed == 0


def test_a_replay_under_the_same_contract_moves_nothing(project: Project) -> None:
    versions = project.versions()
    report = replay_quarantine(project.context(), "gps")
    assert (report.replayed, report.remaining) == (0, 4)
    assert project.versions()["silver"] == versions["silver"]


def test_rows_that_pass_now_are_known_since_their_replay(project: Project) -> None:
    project.source, project.now = mended(), project.now + HOUR
    report = replay_quarantine(project.context(), "gps")
    assert (report.replayed, report.duplicates, report.remaining) == (2, 0, 2)
    assert report.reasons == {"lat between -90 and 92": 1, "unparsable line": 1}
    rows = {row["event_id"]: row for row in project.rows().to_dicts()}
    assert set(rows) == {f"e{n}" for n in range(7)}
    assert rows["e5"]["_hr_known"] == rows["e5"]["_hr_available"] == datetime(2026, 1, 5, 13, tzinfo=UTC)
    assert rows["e5"]["_hr_arrived"] == datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert project.rows("quarantine")["_hr_row"].to_list() == [8, 9]
    assert project.rows("quarantine")["found"].to_list()[0] == ["93.0"]


def test_a_second_replay_doubles_nothing(project: Project) -> None:
    project.source = mended()
    replay_quarantine(project.context(), "gps")
    versions = project.versions()
    assert replay_quarantine(project.context(), "gps").replayed == 0
    assert project.versions()["silver"] == versions["silver"]


def test_a_replayed_copy_never_beats_what_is_there(project: Project) -> None:
    project.put("b.jsonl", [ping(5)])
    project.ingest()
    project.source = mended()
    report = replay_quarantine(project.context(), "gps")
    assert (report.replayed, report.duplicates, report.remaining) == (1, 1, 2)
    rows = project.rows()
    assert rows.filter(rows["event_id"] == "e5")["lat"].to_list() == [48.5]


def test_a_rebuild_keeps_when_rows_were_replayed(project: Project) -> None:
    project.source, project.now = mended(), project.now + HOUR
    replay_quarantine(project.context(), "gps")
    before = project.rows()
    project.now += HOUR
    project.ingest(rebuild=True)
    assert project.rows().equals(before)


def test_another_meaning_must_be_rebuilt_first(project: Project) -> None:
    project.source = mended(known_after="1h")
    with pytest.raises(NotAppliedError, match="--rebuild"):
        replay_quarantine(project.context(), "gps")


def test_a_stopped_batch_is_for_ingest(tmp_path: Path) -> None:
    project = Project(tmp_path, gps(max_rejected_share=0.0))
    project.put("a.jsonl", [ping(0), ping(1, lat=91)])
    with pytest.raises(RejectedError):
        project.ingest()
    with pytest.raises(SourceError, match="was stopped as a whole"):
        replay_quarantine(project.context(), "gps")


def test_a_replay_into_a_newer_snapshot_is_dropped(tmp_path: Path) -> None:
    def source(high: int) -> hr.SnapshotSource:
        return hr.SnapshotSource(
            "docs", primary_key="id", schema={"id": hr.Int64, "n": hr.Int64}, max_rejected_share=0.5,
            contract=[hr.check.between("n", 0, high)], batch=hr.Files("landing/{date}.csv"),
        )  # fmt: skip

    project = Project(tmp_path, source(5))
    project.put("2026-01-02.csv", b"id,n\n1,1\n2,9\n")
    project.put("2026-01-03.csv", b"id,n\n1,1\n2,9\n")
    project.ingest()
    project.put("2026-01-02.csv", b"id,n\n1,2\n")
    project.ingest()
    project.source = source(10)
    assert replay_quarantine(project.context(), "docs").replayed == 1
    assert sorted(project.rows().select("_hr_snapshot", "id", "n").rows()) == [
        (datetime(2026, 1, 2, 23, 59, 59, 999_999, tzinfo=UTC), 1, 2),
        (datetime(2026, 1, 3, 23, 59, 59, 999_999, tzinfo=UTC), 1, 1),
        (datetime(2026, 1, 3, 23, 59, 59, 999_999, tzinfo=UTC), 2, 9),
    ]
    assert project.rows("quarantine").is_empty()
