"""A topic of Kafka, followed to silver: once each, known since the broker took it, through faults of all kinds."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import headrace as hr
from data_platform.stack.kafka import KafkaServer
from data_platform.stack.topics import create_topic, delete_topic
from headrace.errors import AgedOutError, SettingsError, StreamError, UnreachableError
from headrace.platform.quarantine import replay_quarantine
from tests.contract.streams import KafkaLog
from tests.following import Followed
from tests.ingesting import gps, ping, pings
from tests.integration.test_follow import following, wait_until
from tests.integration.test_follow_kill import assert_whole, run, started

pytestmark = pytest.mark.kafka

ORIGIN = ["_hr_file", "_hr_row", "_hr_batch"]
WHEN_KNOWN = ["_hr_available", "_hr_known", "_hr_arrived", "_hr_day"]


class Topic(KafkaLog):
    """A topic with two partitions, into which rows are written."""

    def put(self, rows: list[Any], partition: int = 0) -> None:
        """Append rows; text stands for itself."""
        self.write(partition, *(row.encode() if isinstance(row, str) else msgspec.json.encode(row) for row in rows))


def fed(root: Path, topic: KafkaLog, **options: Any) -> Followed:
    """A project that is fed by a topic."""
    return Followed(root, gps(stream=hr.Kafka(topic.topic), **options), kafka=topic.bootstrap)


@pytest.fixture
def topic(kafka_bootstrap: str) -> Topic:
    return Topic(kafka_bootstrap)


@pytest.fixture
def project(tmp_path: Path, topic: Topic) -> Followed:
    return fed(tmp_path, topic)


def now() -> datetime:
    return datetime.now(UTC)


def test_records_are_known_since_the_broker_took_them(project: Followed, topic: Topic) -> None:
    began = now() - timedelta(milliseconds=1)
    topic.put([*pings(range(150)), "{torn"], 0)
    topic.put(pings(range(140, 200)), 1)
    report = project.follow()
    assert (report.ingested.accepted, report.ingested.duplicates, report.ingested.rejected_rows) == (200, 10, 1)
    assert report.notices == ()
    silver, bronze = project.rows(), project.rows("bronze")
    assert bronze["_hr_appended"].is_between(began, now()).all()
    assert bronze["_hr_arrived"].equals(bronze["_hr_appended"].alias("_hr_arrived"))
    taken = silver.join(bronze, on=["_hr_file", "_hr_row"], suffix="_bronze", maintain_order="left")["_hr_appended"]
    for column in ("_hr_available", "_hr_known"):
        assert silver[column].equals(taken.alias(column))
    assert set(silver["_hr_file"]) == {topic.name(0), topic.name(1)}


def test_a_rebuild_and_a_replay_know_it_too(project: Followed, topic: Topic) -> None:
    topic.put([*pings(range(20)), ping(20, lat=99)], 0)
    project.follow(most_rows=6)
    before = project.rows()
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), before)
    project.source = replace(project.source, contract=())
    project.now = int(now().timestamp() * 1e6) + 3_600_000_000
    replay_quarantine(project.context(), "gps")
    replayed = project.rows()
    assert replayed.filter(pl.col("event_id") == "e20")["_hr_available"].dt.epoch("us").item() == project.now
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), replayed)


def test_the_same_events_from_files_give_the_same_silver_but_for_when_known(tmp_path: Path, topic: Topic) -> None:
    rows = [*pings(range(120)), "{torn", ping(3), ping(121, lat=200), ping(122, extra="x"), ping(123, status="gone")]
    files, stream = Followed(tmp_path / "files", gps()), fed(tmp_path / "stream", topic)
    files.put("a.jsonl", rows)
    topic.put(rows)
    files.ingest()
    stream.follow(most_rows=50)
    found, wanted = (p.rows().drop(ORIGIN).drop(WHEN_KNOWN).sort("event_id") for p in (stream, files))
    assert_frame_equal(found, wanted)
    refused = [p.rows("quarantine").select("reasons", "columns", "found", "row") for p in (stream, files)]
    assert_frame_equal(*refused)


def test_a_time_after_the_append_is_refused(project: Followed, topic: Topic) -> None:
    project.source = replace(project.source, max_future="1m")
    ahead = (now() + timedelta(minutes=5)).isoformat()
    topic.put([ping(0), ping(1, ts=ahead)])
    assert project.follow().ingested.rejected == {"ts: later than its arrival": 1}


def test_times_of_producers_are_not_taken_and_that_is_said_once(kafka_bootstrap: str, tmp_path: Path) -> None:
    topic = Topic(kafka_bootstrap, append_time=False)
    project = fed(tmp_path, topic)
    topic.put(pings(range(30)))
    report = project.follow(most_rows=10)
    (notice,) = report.notices
    assert "does not stamp records as it takes them" in notice
    assert "message.timestamp.type=LogAppendTime" in notice
    silver = project.rows()
    assert silver["_hr_available"].null_count() == 30
    assert silver["_hr_known"].equals(silver["ts"].alias("_hr_known"))
    assert silver["_hr_arrived"].dt.epoch("us").to_list() == [project.now] * 30
    project.source = replace(project.source, available_time="ts")
    project.ingest(rebuild=True)
    topic.put([ping(40)])
    assert project.follow().notices == ()


def test_transactions_and_tombstones_leave_gaps_that_are_passed_over(project: Followed, topic: Topic) -> None:
    topic.put([ping(0)])
    topic.write_gap(0)
    topic.write(0, None)
    topic.put([ping(1)])
    topic.write_gap(0)
    report = project.follow()
    assert report.positions == {topic.name(0): 7}  # the last marker included
    assert project.ids() == ["e0", "e1"]
    assert project.follow().ingested.batches == 0


def test_change_envelopes_keep_their_own_times(tmp_path: Path, topic: Topic) -> None:
    source = hr.ChangeSource(
        "gps", primary_key="driver_id", schema={"driver_id": hr.Int64, "status": hr.String, "ts": hr.Timestamp},
        event_time="ts", stream=hr.Debezium(topic.topic),
    )  # fmt: skip
    project = Followed(tmp_path, source, kafka=topic.bootstrap)

    def envelope(op: str, place: int, status: str) -> dict[str, Any]:
        row = {"driver_id": 7, "status": status, "ts": "2026-01-05T10:00:00Z"}
        images = {"before": row if op == "d" else None, "after": None if op == "d" else row}
        return {"op": op, "ts_us": 1_767_610_800_000_000 + place, **images, "source": {"file": "b.1", "pos": place}}

    topic.put([envelope("c", 1, "free"), envelope("u", 2, "busy"), envelope("u", 2, "busy")])
    topic.write(0, None)
    topic.put([envelope("d", 3, "busy")])
    report = project.follow().ingested
    assert (report.accepted, report.duplicates) == (3, 1)
    silver = project.rows()
    assert silver["_hr_op"].to_list() == ["c", "u", "d"]
    assert (silver["_hr_known"].dt.epoch("us") - 1_767_610_800_000_000).to_list() == [1, 2, 3]
    before = project.rows()
    project.ingest(rebuild=True)
    assert_frame_equal(project.rows(), before)


def test_a_new_partition_is_read_from_its_beginning(project: Followed, topic: Topic) -> None:
    topic.put([ping(0)], 0)
    done: list[Any] = []
    with following(project, progress=done.append) as stopped:
        wait_until(lambda: len(done) == 1)
        number = topic.add_partition()
        topic.put(pings(range(1, 4)), number)
        wait_until(lambda: len(project.ids()) == 4)
        assert stopped().positions[topic.name(number)] == 3


def test_records_that_aged_out_unread_are_told_and_skipped_by_a_reset(project: Followed, topic: Topic) -> None:
    topic.put(pings(range(10)), 0)
    topic.put(pings(range(10, 13)), 1)
    project.follow()
    topic.put(pings(range(20, 30)), 0)
    topic.put(pings(range(30, 33)), 1)
    topic.age_out(0, 15)
    with pytest.raises(AgedOutError, match=r"partition 0: offset 10 is wanted next, .* 5 offsets are lost"):
        project.follow()
    assert len(project.ids()) == 13
    assert project.follow(reset=True).ingested.rows_read == 8
    assert project.follow().ingested.batches == 0
    assert project.ids() == sorted(f"e{n}" for n in [*range(13), *range(25, 30), *range(30, 33)])


def test_a_topic_that_is_gone_or_made_again_is_told(project: Followed, topic: Topic) -> None:
    with pytest.raises(StreamError, match="is not there"):
        replace(project, source=gps(stream=hr.Kafka("no-such-topic"))).follow()
    topic.put(pings(range(10)))
    project.follow()
    delete_topic(topic.bootstrap, topic.topic)
    with pytest.raises(StreamError, match="is not there"):
        project.follow(until_idle=False)
    create_topic(topic.bootstrap, topic.topic, partitions=2)
    topic.put(pings(range(7, 12)))
    with pytest.raises(StreamError, match="offset 10 was reached before, but now it ends at 5"):
        project.follow()
    assert project.follow(reset=True).ingested.accepted == 2


def test_a_topic_that_goes_while_it_is_followed_is_told(project: Followed, topic: Topic) -> None:
    topic.put(pings(range(10)))
    done: list[Any] = []
    with following(project, progress=done.append) as stopped:
        wait_until(lambda: len(done) == 1)
        delete_topic(topic.bootstrap, topic.topic)
        time.sleep(2)
        with pytest.raises(StreamError, match="is not there"):
            stopped()


def test_another_topic_is_read_from_its_beginning(project: Followed, topic: Topic, kafka_bootstrap: str) -> None:
    topic.put(pings(range(10)))
    project.follow()
    other = Topic(kafka_bootstrap)
    other.put(pings(range(5, 15)))
    moved = fed(project.root, other)
    assert moved.ingest(rebuild=True).accepted == 10
    assert moved.follow().ingested.accepted == 5


def test_without_an_address_it_says_where_to_put_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="kafka = "):
        Followed(tmp_path, gps(stream=hr.Kafka("gps"))).follow()


@pytest.mark.thorough
@pytest.mark.slow
def test_a_broker_that_goes_is_waited_for(kafka_home: Path, tmp_path: Path) -> None:
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        topic = Topic(kafka.bootstrap)
        project = fed(tmp_path / "project", topic)
        topic.put(pings(range(10)))
        said: list[Any] = []
        with following(project, progress=said.append) as stopped:
            wait_until(lambda: len(project.ids()) == 10)
            kafka.kill()
            wait_until(lambda: any("Waiting for it." in getattr(each, "text", "") for each in said), 40)
            kafka.start()
            topic.put(pings(range(10, 15)))
            wait_until(lambda: len(project.ids()) == 15, 60)
            report = stopped()
        away, back = report.notices
        assert "can't be reached" in away
        assert "is there again" in back
        kafka.stop()
        with pytest.raises(UnreachableError, match="can't be reached"):
            project.follow()
        kafka.start()
        assert project.follow().ingested.batches == 0


@pytest.mark.thorough
@pytest.mark.slow
def test_killed_again_and_again_while_records_come(tmp_path: Path, topic: Topic) -> None:
    rows = [*pings(range(60), seen=None), ping(60, lat=95), "{torn", *pings(range(5), seen="2026-01-05T11:00:00Z")]
    roots = [tmp_path / "killed", tmp_path / "clean"]
    for root in roots:
        root.mkdir()
        (root / "kafka").write_text(f"{topic.bootstrap} {topic.topic}")
    chance = random.Random(3)
    for start in range(0, len(rows), 15):
        topic.put(rows[start : start + 15], chance.randrange(2))
        child = started(roots[0])
        time.sleep(chance.uniform(0.7, 1.6))
        child.kill()
        child.communicate()
        assert_whole(roots[0])
    assert [run(root) for root in roots] == [0, 0]
    found, wanted = (fed(root, topic).rows().drop("_hr_batch", "_hr_arrived") for root in roots)
    assert found.select("event_id", "seen").sort("event_id").equals(wanted.select("event_id", "seen").sort("event_id"))
    bronze = [
        fed(root, topic).rows("bronze").select("_hr_raw", "_hr_file", "_hr_row", "_hr_appended") for root in roots
    ]
    assert_frame_equal(*bronze)
    assert bronze[0].height == len(rows)
