"""Files that grow, followed to silver: once each, in epochs, beside files that are ingested."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

import headrace as hr
from headrace.errors import (
    AgedOutError,
    ConflictError,
    NotAppliedError,
    RejectedError,
    SchemaChangedError,
    SourceError,
    StreamError,
)
from headrace.platform import stream_landing
from headrace.platform.follow import EpochDone, FollowReport, Notice
from headrace.platform.quarantine import replay_quarantine
from headrace.platform.stream_landing import Head, Taken, land_taken
from tests.following import Followed, streamed
from tests.ingesting import GPS, gps, ping, pings


@pytest.fixture
def project(tmp_path: Path) -> Followed:
    (tmp_path / "in").mkdir()
    return Followed(tmp_path, streamed())


@contextmanager
def following(project: Followed, **options: Any) -> Iterator[Callable[[], FollowReport]]:
    """Follow in another thread; what is given stops it and waits for its report."""
    asked = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            project.follow, **{"until_idle": False, "epoch_seconds": 0.1, "stop": asked.is_set} | options
        )

        def report() -> FollowReport:
            asked.set()
            return running.result(30)

        try:
            yield report
        finally:
            asked.set()


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_is_there_comes_once_and_then_what_is_new(project: Followed) -> None:
    project.write("a.jsonl", [*pings(range(5)), "{torn", ping(1)])
    project.write("b.jsonl", pings(range(5, 8)))
    first = project.follow().ingested
    assert (first.rows_read, first.accepted, first.duplicates, first.rejected_rows) == (10, 8, 1, 1)
    before = project.versions()
    assert project.follow().ingested.batches == 0
    assert project.versions() == before
    project.write("a.jsonl", [ping(8), ping(2)])
    project.write("c.jsonl", [ping(9)])
    assert project.follow().ingested.rows_read == 3
    assert project.ids() == [f"e{n}" for n in range(10)]


def test_bronze_keeps_what_came_and_from_where(project: Followed) -> None:
    path = project.write("a.jsonl", [ping(0), ping(1)])
    report = project.follow()
    rows = project.rows("bronze")
    assert rows["_hr_raw"].to_list() == path.read_text().splitlines()
    assert rows["_hr_file"].to_list() == ["in/a.jsonl"] * 2
    assert rows["_hr_row"].to_list() == [0, len(path.read_bytes()) // 2]
    assert rows["_hr_arrived"].dt.epoch("us").to_list() == [project.now] * 2
    assert rows["_hr_appended"].null_count() == 2
    assert report.positions == {"in/a.jsonl": len(path.read_bytes())}
    (batch,) = project.ledger().batches
    assert (batch.epoch, batch.pieces[0].start, batch.pieces[0].end, batch.rows) == (1, 0, path.stat().st_size, 2)


def test_a_long_stream_comes_in_epochs(project: Followed) -> None:
    project.write("a.jsonl", pings(range(25)))
    done: list[Any] = []
    report = project.follow(most_rows=10, progress=done.append)
    assert [event.rows for event in done] == [10, 10, 5]
    assert [event.number for event in done] == [1, 2, 3]
    assert report.ingested.batches == 3
    assert len(project.ids()) == 25


def test_positions_are_found_again_though_few_commits_say_all(
    project: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_landing, "WHOLE_EVERY", 5)
    project.write("a.jsonl", pings(range(3)))
    project.write("b.jsonl", pings(range(100, 103)))
    for number in range(200, 213):
        project.follow()
        sizes = {f"in/{path.name}": path.stat().st_size for path in (project.root / "in").iterdir()}
        head = Head.read(project.table("bronze"))
        assert (head.epoch, head.positions) == (number - 199, sizes)
        project.write("a.jsonl", [ping(number)])
    whole = [commit.metadata["epoch"] for commit in project.table("bronze").commits() if "positions" in commit.metadata]
    assert whole == ["1", "6", "11"]


def test_it_follows_until_it_is_stopped_and_finishes_the_epoch(project: Followed) -> None:
    project.write("a.jsonl", pings(range(3)))
    with following(project) as stopped:
        wait_until(lambda: project.table("silver").exists())
        project.write("a.jsonl", [ping(3)])
        project.write("new.jsonl", [ping(4)])
        wait_until(lambda: len(project.ids()) == 5)
        report = stopped()
    assert report.ingested.rows_read == 5
    assert project.follow().ingested.batches == 0


def test_a_pause_between_epochs_gathers_rows(project: Followed) -> None:
    project.write("a.jsonl", [ping(0)])
    done: list[Any] = []
    with following(project, epoch_seconds=1.5, progress=done.append) as stopped:
        wait_until(lambda: len(done) == 1)
        for number in range(1, 5):
            project.write("a.jsonl", [ping(number)])
        wait_until(lambda: len(done) == 2)
        stopped()
    assert [event.rows for event in done] == [1, 4]


def test_a_second_follower_is_refused(project: Followed) -> None:
    project.write("a.jsonl", [ping(0)])
    with following(project):
        wait_until(lambda: project.table("silver").exists())
        with pytest.raises(ConflictError, match="follow-gps is already running in process"):
            project.follow()


def test_a_follower_that_lost_its_lock_lands_nothing(project: Followed) -> None:
    path = project.write("a.jsonl", [ping(0)])
    project.follow()
    bronze = project.table("bronze")
    head, rows = Head.read(bronze), project.rows("bronze").select("_hr_raw", "_hr_file", "_hr_row", "_hr_appended")
    project.write("a.jsonl", [ping(1)])
    project.follow()
    ends = {"in/a.jsonl": path.stat().st_size}
    with pytest.raises(ConflictError, match="another process took epoch 2"):
        land_taken(bronze, head, Taken(rows, dict(head.positions), ends), project.now)
    assert project.rows("bronze").height == 2


def test_files_are_ingested_and_silver_is_rebuilt_beside_a_follower(project: Followed) -> None:
    project.write("a.jsonl", pings(range(3)))
    with following(project, epoch_seconds=0.0):
        wait_until(lambda: project.table("silver").exists())
        project.put("f.jsonl", pings(range(2, 6)))
        for number in range(10, 15):
            project.write("a.jsonl", [ping(number)])
            assert project.ingest(rebuild=number == 13).source == "gps"
        wait_until(lambda: len(project.ids()) == 11)
    assert project.follow().ingested.batches == 0
    assert project.ingest().batches == 0


def test_both_roads_of_a_source_are_told_apart_by_id(project: Followed) -> None:
    project.put("f.jsonl", pings(range(150)))
    project.write("f.jsonl", pings(range(100, 250)))
    assert project.ingest().accepted == 150
    assert project.follow().ingested.duplicates == 50
    project.put("g.jsonl", pings(range(240, 260)))
    assert project.ingest().duplicates == 10
    assert project.ids() == sorted(f"e{n}" for n in range(260))
    before = project.rows()
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), before)


def test_parquet_files_and_a_stream_share_bronze(tmp_path: Path) -> None:
    from tests.ingesting import frame

    project = Followed(tmp_path, replace(streamed(), batch=hr.Files("landing/*.parquet")))
    (tmp_path / "landing").mkdir()
    frame(pings(range(5))).write_parquet(tmp_path / "landing" / "a.parquet")
    project.write("a.jsonl", [*pings(range(3, 8)), ping(8, lat=99)])
    project.ingest()
    project.follow()
    frame(pings(range(6, 10))).write_parquet(tmp_path / "landing" / "b.parquet")
    project.ingest()
    assert project.ids() == [f"e{n}" for n in [*range(8), 8, 9]]
    before = project.rows()
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), before)


def test_the_same_rows_give_the_same_silver_by_both_roads(tmp_path: Path) -> None:
    rows = [*pings(range(60)), "{torn", ping(3), ping(61, lat=200), ping(62, extra="x"), ping(63, status="gone")]
    files, stream = Followed(tmp_path / "files", gps()), Followed(tmp_path / "stream", streamed())
    files.put("a.jsonl", rows)
    stream.write("a.jsonl", rows)
    files.ingest()
    stream.follow(most_rows=7)
    origin = ["_hr_file", "_hr_row", "_hr_batch"]
    for layer in ("silver", "quarantine"):
        found, wanted = (project.rows(layer).drop(origin) for project in (stream, files))
        assert_frame_equal(found, wanted)


def test_quarantined_records_of_a_stream_are_replayed_and_stay_through_a_rebuild(project: Followed) -> None:
    project.write("a.jsonl", [*pings(range(5)), ping(5, lat=99)])
    project.follow()
    project.source = replace(project.source, contract=[hr.check.between("lat", -100, 100)])
    project.now += 3_600_000_000
    assert replay_quarantine(project.context(), "gps").replayed == 1
    replayed = project.rows()
    assert replayed.height == 6
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), replayed)
    project.write("a.jsonl", [ping(6, lat=99)])
    assert project.follow().ingested.accepted == 1


def test_one_odd_record_stops_nothing(project: Followed) -> None:
    project.source = replace(project.source, max_rejected_share=0.01)
    project.write("a.jsonl", [{"event_id": "x"}])
    assert project.follow().ingested.rejected_rows == 1
    project.write("a.jsonl", ["{torn", ping(1), {"other": 1}])
    assert project.follow().ingested.accepted == 1
    project.write("a.jsonl", [ping(2)])
    assert project.follow().ingested.accepted == 1


def test_a_stream_of_rubbish_stops_once_there_are_a_thousand_rows(project: Followed) -> None:
    project.source = replace(project.source, max_rejected_share=0.2)
    for start in range(0, 900, 90):  # 20 of 90 rows: too many each, and never judged alone
        project.write("a.jsonl", [*pings(range(start, start + 70)), *pings(range(start + 70, start + 90), lat=99)])
        assert project.follow().ingested.rejected_rows == 20
    project.write("a.jsonl", [*pings(range(900, 970)), *pings(range(970, 1000), lat=99)])
    with pytest.raises(
        RejectedError, match=r"230 of 1,000 rows of the last 11 epochs \(23.0%\) are rejected; at most 20"
    ):
        project.follow()
    assert len(project.ids()) == 700
    with pytest.raises(RejectedError):
        project.follow()
    project.source = replace(project.source, contract=())
    assert project.follow().ingested.accepted == 100


def test_good_rows_before_outweigh_a_bad_epoch(project: Followed) -> None:
    project.source = replace(project.source, max_rejected_share=0.1)
    project.write("a.jsonl", pings(range(990)))
    project.follow()
    project.write("a.jsonl", pings(range(990, 1000), lat=99))
    assert project.follow().ingested.rejected_rows == 10


def test_a_large_epoch_is_judged_by_itself(project: Followed) -> None:
    project.source = replace(project.source, max_rejected_share=0.1)
    project.write("a.jsonl", [*pings(range(800)), *pings(range(800, 1000), lat=99)])
    with pytest.raises(RejectedError, match=r"200 of 1,000 rows \(20.0%\)"):
        project.follow()


def test_a_dropped_column_stops_an_epoch_that_is_large_enough_to_tell(project: Followed) -> None:
    rows = [{name: value for name, value in row.items() if name != "status"} for row in pings(range(200))]
    project.write("a.jsonl", rows[:50])
    assert project.follow().ingested.accepted == 50
    project.write("a.jsonl", rows[50:])
    with pytest.raises(SchemaChangedError, match="no row has the column 'status'"):
        project.follow()


def test_a_changed_definition_is_refused_before_anything_is_landed(project: Followed) -> None:
    project.write("a.jsonl", [ping(0)])
    project.follow()
    before = project.versions()
    project.source = streamed(known_after="1h")
    project.write("a.jsonl", [ping(1)])
    with pytest.raises(NotAppliedError, match="headrace ingest gps --rebuild"):
        project.follow()
    assert project.versions() == before
    project.ingest(rebuild=True)
    assert project.follow().ingested.accepted == 1


def test_a_file_that_was_read_may_go(project: Followed) -> None:
    path = project.write("a.jsonl", [ping(0)])
    done: list[Any] = []
    with following(project, progress=done.append) as stopped:
        wait_until(lambda: len(done) == 1)
        path.unlink()
        project.write("b.jsonl", [ping(1)])
        wait_until(lambda: len(done) == 2)
        stopped()
    project.write("b.jsonl", [ping(2)])
    assert project.follow().ingested.rows_read == 1
    assert project.ids() == ["e0", "e1", "e2"]


def test_a_file_that_goes_unread_is_told(project: Followed) -> None:
    path = project.write("a.jsonl", pings(range(10)))

    def remove(event: EpochDone | Notice) -> None:
        path.unlink()

    with pytest.raises(AgedOutError, match="is gone"):
        project.follow(most_rows=5, progress=remove)
    project.write("b.jsonl", [ping(20)])
    assert project.follow(reset=True).ingested.rows_read == 1
    assert project.ids() == sorted(f"e{n}" for n in [*range(5), 20])


def test_a_file_that_was_cut_off_is_told_and_reset(project: Followed) -> None:
    path = project.write("a.jsonl", pings(range(10)))
    project.follow()
    path.write_bytes(b"")
    project.write("a.jsonl", [ping(77)])
    with pytest.raises(StreamError, match=r"was read up to byte \d+, and now it has"):
        project.follow()
    assert project.follow(reset=True).ingested.accepted == 1
    assert project.follow().ingested.batches == 0
    assert project.ledger().batches[-1].pieces[0].start == 0


def test_a_reset_is_kept_though_nothing_follows(project: Followed) -> None:
    path = project.write("a.jsonl", pings(range(10)))
    project.follow()
    path.write_bytes(b"")
    assert project.follow(reset=True).positions == {"in/a.jsonl": 0}
    assert project.follow().ingested.batches == 0


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (gps(), r"has no stream to follow: give it stream=hr.Kafka\('gps'\)"),
        (
            hr.SnapshotSource("gps", primary_key="driver_id", schema=GPS, stream=hr.Files("in/*.jsonl")),
            "can't be followed: each of its files is the truth of its day",
        ),
    ],
)
def test_what_can_not_be_followed_is_told(tmp_path: Path, source: Any, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        Followed(tmp_path, source).follow()


def test_a_source_without_files_is_not_ingested_but_rebuilt(tmp_path: Path) -> None:
    project = Followed(tmp_path, replace(streamed(), batch=None))
    project.write("a.jsonl", [ping(0)])
    with pytest.raises(SourceError, match="Run: headrace ingest gps --follow"):
        project.ingest()
    project.follow()
    assert project.ingest(rebuild=True).accepted == 1


def test_a_road_that_was_taken_away_is_missed_at_a_rebuild(project: Followed) -> None:
    project.write("a.jsonl", [ping(0)])
    project.put("f.jsonl", [ping(1)])
    project.follow()
    project.source = gps()
    with pytest.raises(SourceError, match="came by stream=, which the source no longer has"):
        project.ingest(rebuild=True)
