"""Files to silver: what arrives, what doesn't, and that doing it twice changes nothing."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.errors import NotAppliedError, RejectedError, SchemaChangedError, SettingsError, SourceError, TimeError
from headrace.platform import landing
from headrace.platform.ingest import Progress
from headrace.types import instant
from tests.ingesting import GPS, Project, frame, gps, ping, pings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_clean_rows_reach_silver_with_their_origin(project: Project) -> None:
    project.put("a.jsonl", pings(range(3)))
    report = project.ingest()
    assert (report.files, report.rows_read, report.accepted, report.rejected_rows) == (1, 3, 3, 0)
    rows = project.rows()
    assert rows["event_id"].to_list() == ["e0", "e1", "e2"]
    assert rows["_hr_file"].unique().to_list() == ["landing/a.jsonl"]
    assert rows["_hr_row"].to_list() == [1, 2, 3]
    assert rows["_hr_arrived"].unique().to_list() == [datetime(2026, 1, 5, 12, tzinfo=UTC)]
    assert rows["_hr_known"].to_list() == rows["ts"].to_list()
    assert rows["_hr_available"].null_count() == 3
    assert rows["_hr_day"].unique().to_list() == [date(2026, 1, 5)]


def test_bronze_keeps_what_came(project: Project) -> None:
    path = project.put("a.jsonl", [*pings(range(2)), '{"torn', "", ping(3, lat=999)])
    project.ingest()
    kept = project.rows("bronze")
    assert kept["_hr_raw"].to_list() == [line for line in path.read_text().split("\n") if line]
    assert kept["_hr_row"].to_list() == [1, 2, 3, 5]


def test_the_same_input_twice_changes_nothing(project: Project) -> None:
    project.put("a.jsonl", [*pings(range(3)), "torn"])
    project.ingest()
    before = project.versions()
    project.now += 3_600_000_000
    report = project.ingest()
    assert (report.files, report.batches, report.rows_read) == (0, 0, 0)
    os.utime(project.root / "landing/a.jsonl", (1, 1))
    assert project.ingest().files == 0
    assert project.versions() == before


def test_new_files_are_added(project: Project) -> None:
    project.put("a.jsonl", pings(range(3)))
    project.ingest()
    project.put("b.jsonl", pings(range(3, 5)))
    report = project.ingest()
    assert (report.files, report.accepted) == (1, 2)
    assert project.ids() == ["e0", "e1", "e2", "e3", "e4"]


def test_a_file_under_another_name_is_the_same_file(project: Project) -> None:
    path = project.put("a.jsonl", pings(range(3)))
    project.source = gps(dedupe_on=None)
    project.ingest()
    path.rename(path.with_name("b.jsonl"))
    assert project.ingest().files == 0
    assert project.ids() == ["e0", "e1", "e2"]


def test_rejected_rows_go_to_quarantine_with_every_reason(project: Project) -> None:
    rows = [*pings(range(6)), ping(6, lat=999, status="lost"), ping(7, driver_id=None), ping(8, driver_id="7"), "{"]
    project.put("a.jsonl", rows)
    report = project.ingest()
    assert (report.accepted, report.rejected_rows) == (6, 4)
    assert report.rejected == {
        "lat between -90 and 90": 1,
        "status in ['free', 'busy']": 1,
        "driver_id: null": 1,
        "driver_id: wrong type": 1,
        "unparsable line": 1,
    }
    kept = project.rows("quarantine")
    assert kept["_hr_row"].to_list() == [7, 8, 9, 10]
    assert kept["columns"].to_list()[0] == ["lat", "status"]
    assert kept["found"].to_list()[2] == ['"7"']


def test_a_row_later_than_its_arrival_is_rejected(project: Project) -> None:
    project.put("a.jsonl", [ping(0), ping(1, ts="2026-01-05T12:00:59Z"), ping(2, ts="2026-01-05T12:01:01Z")])
    report = project.ingest()
    assert report.rejected == {"ts: later than its arrival": 1}
    assert project.ids() == ["e0", "e1"]


def test_arrival_is_the_measured_one_where_there_is_one(project: Project) -> None:
    project.source = _with_seen(known_after="10m")
    rows = [
        ping(0, seen="2026-01-05T10:30:00Z"),
        ping(1, ts="2026-01-05T10:05:00Z", seen="2026-01-05T10:00:00Z"),
        ping(2, seen=None),
    ]
    project.put("a.jsonl", rows)
    assert project.ingest().rejected == {"ts: later than its arrival": 1}
    kept = project.rows()
    assert kept["_hr_known"].to_list() == [
        datetime(2026, 1, 5, 10, 40, tzinfo=UTC),
        datetime(2026, 1, 5, 10, 12, tzinfo=UTC),
    ]
    assert kept["_hr_available"].to_list() == [datetime(2026, 1, 5, 10, 30, tzinfo=UTC), None]


def _with_seen(**options: Any) -> hr.EventSource:
    schema = GPS | {"seen": hr.Timestamp}
    return hr.EventSource(
        "gps",
        schema=schema,
        event_time="ts",
        available_time="seen",
        dedupe_on="event_id",
        batch=hr.Files("landing/*.jsonl"),
        max_rejected_share=0.5,
        **options,
    )


def test_too_many_rejected_rows_stop_the_batch(project: Project) -> None:
    project.source = gps(max_rejected_share=0.1)
    project.put("a.jsonl", [*pings(range(4)), ping(4, lat=999)])
    with pytest.raises(RejectedError, match=r"1 of 5 rows \(20\.0%\) are rejected; at most 10\.0%.*lat between"):
        project.ingest()
    assert not project.table("silver").exists()
    assert project.rows("bronze").height == 5
    assert project.rows("quarantine").height == 1


def test_a_stopped_batch_is_taken_up_when_the_definition_is_mended(project: Project) -> None:
    project.source = gps(max_rejected_share=0.1)
    project.put("a.jsonl", [*pings(range(4)), ping(4, lat=999)])
    with pytest.raises(RejectedError):
        project.ingest()
    project.source = gps(max_rejected_share=0.1, contract=[hr.check.between("lat", -1000, 1000)])
    assert project.ingest().accepted == 5
    assert project.rows("quarantine").height == 0
    assert project.ids() == ["e0", "e1", "e2", "e3", "e4"]


def test_an_added_column_evolves_silver(project: Project) -> None:
    project.put("a.jsonl", pings(range(2)))
    project.ingest()
    project.put("b.jsonl", [ping(2, battery=80), ping(3, battery=None)])
    assert project.ingest().added_columns == {"battery": "String"}
    assert project.rows()["battery"].to_list() == [None, None, "80", None]


def test_an_added_column_is_quarantined_where_the_source_says_so(project: Project) -> None:
    project.source = gps(on_added_column="quarantine")
    project.put("a.jsonl", [ping(0), ping(1, battery=80), ping(2, battery=None)])
    assert project.ingest().rejected == {"battery: column is not declared": 1}
    assert project.ids() == ["e0", "e2"]
    assert "battery" not in project.rows().columns


def test_an_added_column_stops_where_the_source_says_so(project: Project) -> None:
    project.source = gps(on_added_column="stop")
    project.put("a.jsonl", [ping(0), ping(1, battery=80)])
    with pytest.raises(SchemaChangedError, match="column 'battery' is not declared"):
        project.ingest()
    assert not project.table("silver").exists()


def test_a_dropped_column_never_passes(project: Project) -> None:
    project.put("a.jsonl", pings(range(2)))
    project.ingest()
    before = project.ids()
    rows = [{name: value for name, value in ping(9).items() if name != "lat"}]
    project.put("b.jsonl", rows)
    with pytest.raises(SchemaChangedError, match="no row has the column 'lat'"):
        project.ingest()
    assert project.ids() == before


def test_a_retyped_column_never_passes(project: Project) -> None:
    project.put("a.jsonl", [ping(n, driver_id=str(n)) for n in range(3)])
    with pytest.raises(
        SchemaChangedError, match="no value of column 'driver_id' is a Int64 any more; the first is \"0\""
    ):
        project.ingest()


def test_a_widened_parquet_column_passes_and_a_retyped_one_does_not(project: Project) -> None:
    project.source = gps("landing/*.parquet")
    (project.root / "landing").mkdir()
    narrow = frame(pings(range(2))).with_columns(pl.col("driver_id").cast(pl.Int32))
    narrow.write_parquet(project.root / "landing/a.parquet")
    frame(pings(range(2, 4))).write_parquet(project.root / "landing/b.parquet")
    assert project.ingest().accepted == 4
    assert project.rows()["driver_id"].dtype == pl.Int64
    frame(pings(range(4, 6))).with_columns(pl.col("driver_id").cast(pl.String)).write_parquet(
        project.root / "landing/c.parquet"
    )
    with pytest.raises(SchemaChangedError, match=r"c\.parquet: column 'driver_id' is String"):
        project.ingest()
    assert len(project.ids()) == 4


def test_an_added_parquet_column_may_not_change_its_type(project: Project) -> None:
    project.source = gps("landing/*.parquet")
    (project.root / "landing").mkdir()
    frame(pings(range(2), extra=1)).write_parquet(project.root / "landing/a.parquet")
    project.ingest()
    frame(pings(range(2, 4), extra="x")).write_parquet(project.root / "landing/b.parquet")
    with pytest.raises(SchemaChangedError, match="column 'extra' is String, and was Int64"):
        project.ingest()


def test_duplicates_go_within_a_batch_and_against_silver(project: Project) -> None:
    project.put("a.jsonl", [*pings(range(3)), ping(1)])
    assert project.ingest().duplicates == 1
    project.put("b.jsonl", [ping(2), ping(3)])
    assert project.ingest().duplicates == 1
    assert project.ids() == ["e0", "e1", "e2", "e3"]


def test_the_measured_copy_replaces_the_one_in_silver(project: Project) -> None:
    project.source = _with_seen()
    project.put("a.jsonl", [ping(0, seen=None), ping(1, seen="2026-01-05T11:00:00Z"), ping(2, seen=None)])
    project.ingest()
    project.put("b.jsonl", [ping(0, seen="2026-01-05T10:20:00Z"), ping(1, seen="2026-01-05T11:30:00Z")])
    report = project.ingest()
    assert (report.accepted, report.duplicates) == (1, 1)
    kept = {row["event_id"]: row["_hr_available"] for row in project.rows().to_dicts()}
    assert kept == {
        "e0": datetime(2026, 1, 5, 10, 20, tzinfo=UTC),
        "e1": datetime(2026, 1, 5, 11, tzinfo=UTC),
        "e2": None,
    }


def test_copies_further_apart_than_ids_are_remembered_are_rows_of_their_own(project: Project) -> None:
    project.put("a.jsonl", [ping(0), ping(0, ts="2025-12-20T00:00:00Z"), ping(0, ts="2025-12-21T00:00:00Z")])
    assert project.ingest().duplicates == 1
    assert project.rows().height == 2


def test_a_changed_file_without_identity_stops(project: Project) -> None:
    project.source = gps(dedupe_on=None)
    project.put("a.jsonl", pings(range(2)))
    project.ingest()
    project.put("a.jsonl", pings(range(4)))
    with pytest.raises(SourceError, match=r"landing/a\.jsonl was changed after it was ingested"):
        project.ingest()
    assert len(project.ids()) == 2


def test_a_changed_file_with_identity_adds_its_new_rows(project: Project) -> None:
    project.put("a.jsonl", pings(range(2)))
    project.ingest()
    project.put("a.jsonl", pings(range(4)))
    report = project.ingest()
    assert (report.accepted, report.duplicates) == (2, 2)


def test_large_files_come_in_several_batches(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "BATCH_ROWS", 10)
    for place in range(6):
        project.put(f"{place}.jsonl", pings(range(place * 4, place * 4 + 4)))
    report = project.ingest()
    assert (report.files, report.batches, report.accepted) == (6, 3, 24)


def test_personal_columns_are_masked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_MASK_KEY", "0123456789abcdef")
    project.source = gps(personal={"driver_id": hr.mask.hmac(), "status": hr.mask.drop(), "lat": hr.mask.truncate(0)})
    project.put("a.jsonl", [ping(1, lat=48.9), ping(8, lat=-3.7), ping(2, lat=999)])
    project.ingest()
    rows = project.rows()
    assert rows["driver_id"].dtype == pl.String
    assert rows["driver_id"].n_unique() == 1
    assert rows["status"].null_count() == 2
    assert rows["lat"].to_list() == [48.0, -3.0]
    (kept,) = project.rows("quarantine").to_dicts()
    assert kept["row"] == (
        '{"event_id":"e2","driver_id":"(personal)","ts":"2026-01-05T10:02:00+00:00","lat":"(personal)",'
        '"status":"(personal)"}'
    )
    assert kept["found"] == ["(personal)"]


def test_masking_without_a_key_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_MASK_KEY", raising=False)
    project.source = gps(personal={"driver_id": hr.mask.hmac()})
    project.put("a.jsonl", pings(range(2)))
    with pytest.raises(SettingsError, match="HEADRACE_MASK_KEY is not set"):
        project.ingest()
    assert not project.table("silver").exists()


def test_another_meaning_is_refused_until_silver_is_rebuilt(project: Project) -> None:
    project.put("a.jsonl", [*pings(range(3)), ping(2)])
    project.ingest()
    project.source = gps(known_after="1h")
    with pytest.raises(NotAppliedError, match="headrace ingest gps --rebuild"):
        project.ingest()
    report = project.ingest(rebuild=True)
    assert (report.accepted, report.duplicates) == (3, 1)
    rows = project.rows()
    assert (rows["_hr_known"] - rows["ts"]).unique().dt.total_minutes().to_list() == [60]
    assert project.ingest().batches == 0
    project.put("b.jsonl", [ping(1), ping(5)])
    assert project.ingest().accepted == 1


def test_a_rebuild_may_retype_columns(project: Project) -> None:
    project.put("a.jsonl", pings(range(3)))
    project.ingest()
    schema = GPS | {"driver_id": hr.Int16}
    project.source = hr.EventSource("gps", schema=schema, event_time="ts", batch=hr.Files("landing/*.jsonl"))
    project.ingest(rebuild=True)
    assert project.rows()["driver_id"].dtype == pl.Int16
    assert project.table("silver").scan(version=0).collect()["driver_id"].dtype == pl.Int64


def test_a_mended_contract_needs_no_rebuild(project: Project) -> None:
    project.put("a.jsonl", pings(range(3)))
    project.ingest()
    project.source = gps(contract=[])
    project.put("b.jsonl", [ping(3, lat=999)])
    assert project.ingest().accepted == 1


def test_late_rows_are_counted_and_kept(project: Project) -> None:
    project.source = _with_seen(max_lateness="1m")
    project.put("a.jsonl", [ping(0, seen="2026-01-05T10:00:30Z"), ping(1, seen="2026-01-05T11:00:00Z")])
    report = project.ingest()
    assert (report.accepted, report.late) == (2, 1)


def test_naive_times_need_a_zone(project: Project) -> None:
    project.put("a.jsonl", [ping(0, ts="2025-11-02T01:30:00"), ping(1, ts="2025-03-09 02:30:00"), ping(2), ping(3)])
    assert project.ingest().rejected == {"ts: naive time": 2}
    project.source = gps(timezone="America/New_York")
    report = project.ingest(rebuild=True)
    assert report.rejected == {"ts: time skipped by the clock change": 1}
    assert project.rows()["ts"].to_list()[0] == datetime(2025, 11, 2, 6, 30, tzinfo=UTC)


def test_naive_parquet_times_are_refused_without_a_zone(project: Project) -> None:
    project.source = gps("landing/*.parquet")
    (project.root / "landing").mkdir()
    local = frame(pings(range(2))).with_columns(pl.col("ts").dt.replace_time_zone(None))
    local.write_parquet(project.root / "landing/a.parquet")
    with pytest.raises(TimeError, match=r"a\.parquet: the times of column 'ts' have no time zone"):
        project.ingest()
    project.source = gps("landing/*.parquet", timezone="Europe/Paris")
    project.ingest()
    assert project.rows()["ts"].to_list()[0] == datetime(2026, 1, 5, 9, tzinfo=UTC)


def test_mixed_zones_become_utc(project: Project) -> None:
    stamps = ["2026-01-05T10:00:00Z", "2026-01-05T11:00:00+01:00", "2026-01-05 05:00:00-0500", "2026-01-05T10:00:00.5Z"]
    project.put("a.jsonl", [ping(n, ts=ts) for n, ts in enumerate(stamps)])
    project.ingest()
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert project.rows()["ts"].to_list() == [at, at, at, at.replace(microsecond=500_000)]


def test_progress_is_told(project: Project) -> None:
    project.put("a.jsonl", pings(range(3)))
    seen: list[Progress] = []
    project.ingest(progress=seen.append)
    assert [step.stage for step in seen] == ["land", "refine"]
    assert all(step.done == step.total for step in seen)
    assert seen[-1].rows == 3


class TestSnapshots:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        schema = {"id": hr.Int64, "state": hr.String}
        source = hr.SnapshotSource(
            "docs", primary_key="id", schema=schema, known_after="2h", batch=hr.Files("landing/docs_{date}.csv")
        )
        return Project(tmp_path, source)

    def test_each_file_is_the_truth_of_its_day(self, project: Project) -> None:
        project.put("docs_2026-01-02.csv", b"id,state\n1,a\n2,b\n")
        project.put("docs_2026-01-03.csv", b"id,state\n1,a\n2,b\n")
        project.ingest()
        rows = project.rows()
        assert rows.height == 4
        assert rows["_hr_snapshot"].unique().sort().to_list() == [
            datetime(2026, 1, 2, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2026, 1, 3, 23, 59, 59, 999_999, tzinfo=UTC),
        ]
        assert rows["_hr_known"][0] == datetime(2026, 1, 3, 1, 59, 59, 999_999, tzinfo=UTC)

    def test_an_issue_anew_replaces_its_day_and_going_back_does_too(self, project: Project) -> None:
        first, second = b"id,state\n1,a\n2,b\n", b"id,state\n1,z\n"
        project.put("docs_2026-01-02.csv", first)
        project.put("docs_2026-01-03.csv", first)
        project.ingest()
        for content, states in ((second, ["z"]), (first, ["a", "b"])):
            project.put("docs_2026-01-02.csv", content)
            assert project.ingest().files == 1
            rows = project.rows().filter(pl.col("_hr_file") == "landing/docs_2026-01-02.csv")
            assert sorted(rows["state"].to_list()) == states
            assert project.rows().height == len(states) + 2

    def test_an_empty_snapshot_is_refused(self, project: Project) -> None:
        project.put("docs_2026-01-02.csv", b"id,state\n")
        with pytest.raises(SourceError, match="has a header and no rows"):
            project.ingest()

    def test_a_name_without_a_day_is_refused(self, project: Project) -> None:
        project.put("docs_2026-13-02.csv", b"id,state\n1,a\n")
        with pytest.raises(SourceError, match="'2026-13-02' in its name is no day"):
            project.ingest()


class TestChanges:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        schema = {"id": hr.Int64, "at": hr.Timestamp, "fare": hr.Decimal(10, 2)}
        source = hr.ChangeSource(
            "rides",
            primary_key="id",
            schema=schema,
            event_time="at",
            required="fare",
            known_after="1s",
            batch=hr.Files("landing/*.json", "debezium"),
        )
        return Project(tmp_path, source)

    def envelope(self, position: int, op: str, row: int = 1, fare: str = "12.50", ts_us: int | None = None) -> str:
        image = f'{{"id":{row},"at":{instant("2026-01-05T09:00:00Z")},"fare":{fare}}}'
        before = image if op in ("u", "d") else "null"
        after = image if op in ("c", "u", "r") else "null"
        known = instant("2026-01-05T10:00:00Z") + position if ts_us is None else ts_us
        source = f'{{"file":"binlog.000001","pos":{position},"row":0,"ts_ms":1}}'
        return f'{{"before":{before},"after":{after},"op":"{op}","ts_us":{known},"source":{source}}}'

    def test_changes_keep_their_order_and_time(self, project: Project) -> None:
        kinds = ["r", "c", "u", "d", "t"]
        project.put("a.json", [*(self.envelope(n, op) for n, op in enumerate(kinds)), "null"])
        project.ingest()
        rows = project.rows().sort("_hr_position")
        assert rows["_hr_op"].to_list() == kinds
        assert rows["_hr_position"].to_list()[1] == "binlog.000001:000000000001:000000"
        assert rows["id"].to_list() == [1, 1, 1, 1, None]
        assert [str(fare) for fare in rows["fare"].to_list()] == ["12.50"] * 4 + ["None"]
        assert rows["_hr_known"][1] == datetime(2026, 1, 5, 10, 0, 1, 1, tzinfo=UTC)
        assert rows["at"][0] == datetime(2026, 1, 5, 9, tzinfo=UTC)

    def test_sent_again_they_vanish_and_the_earliest_stays(self, project: Project) -> None:
        later = instant("2026-01-05T11:00:00Z")
        project.put("a.json", [self.envelope(1, "c"), self.envelope(2, "u", ts_us=later)])
        project.ingest()
        project.put("b.json", [self.envelope(1, "c", ts_us=later), self.envelope(2, "u"), self.envelope(3, "u")])
        report = project.ingest()
        assert (report.accepted, report.duplicates) == (2, 1)
        known = project.rows().sort("_hr_position")["_hr_available"].dt.epoch("us").to_list()
        first = instant("2026-01-05T10:00:00Z")
        assert known == [first + 1, first + 2, first + 3]

    def test_snapshot_rows_share_a_position_and_all_stay(self, project: Project) -> None:
        project.put("a.json", [self.envelope(7, "r", row) for row in range(100)])
        assert project.ingest().accepted == 100

    def test_a_deletion_needs_its_key_alone(self, project: Project) -> None:
        key_only = (
            self.envelope(2, "d").replace('"fare":12.50', '"fare":null').replace('"at":1767603600000000', '"at":null')
        )
        project.source = _lenient(project.source)
        project.put("a.json", [self.envelope(1, "c"), key_only, self.envelope(3, "d").replace('"id":1', '"id":null')])
        assert project.ingest().rejected == {"id: null": 1}

    def test_broken_envelopes_are_told(self, project: Project) -> None:
        project.source = _lenient(project.source)
        good = self.envelope(1, "c")
        bad = [
            good.replace('"op":"c"', '"op":"x"'),
            good.replace('"pos":1,', ""),
            good[:40],
            good.replace("12.50", '"a lot"').replace('"pos":1', '"pos":2'),
            good.replace("12.50", "12.505"),
        ]
        project.put("a.json", [good, *bad])
        assert project.ingest().rejected == {
            "op: unknown operation": 1,
            "source: no log position": 1,
            "unparsable line": 1,
            "fare: wrong type": 2,
        }


def _lenient(source: Any) -> Any:
    from dataclasses import replace

    return replace(source, max_rejected_share=1.0)
