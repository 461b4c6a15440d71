"""Steps on topics of a real Kafka, each exactly once: through kills, zombies, a broker that dies, and losses."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from data_platform.stack.kafka import KafkaServer
from headrace.connectors.kafka_producing import Transactions
from headrace.connectors.transactions import AbortedError, Outgoing
from headrace.errors import FencedError, SettingsError, StateError, StreamError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.platform.stream_topics import TopicSink
from tests.integration.feeding import Feed, running, until
from tests.integration.test_stream_workers import Drivers
from tests.step_topics import decoded, messages_of, topic_steps
from tests.streaming import pings, project, run, streamed_steps, truth, write

pytestmark = pytest.mark.kafka
KEYS = {"driver_now": "driver_id", "zone_now": "zone"}
ONCE = Pace(0.0, 700, snapshot_seconds=0.05, until_idle=True, idle_seconds=3600)
ON = Pace(0.05, idle_seconds=3600)
CRASHES = [
    "before kafka commit:4", "after kafka commit:4", "before kafka commit:1", "after kafka commit:1", "after plan:3",
    "after online records:4", "before streamed commit:3", "after streamed commit:3", "before commit:3",
    "after commit:3", "after snapshot:1", "after snapshot:2",
]  # fmt: skip


@pytest.fixture
def prefix() -> str:
    return f"city-{uuid.uuid4().hex[:8]}."


@pytest.fixture
def sinks(prefix: str) -> str:
    return f"online, kafka:{prefix}"


def assert_topics_right(platform: Platform, rows: list[Any], at_least: int = 100) -> None:
    """Each step before the stream's cut is on its view's topic once, is that of the rows, and comes in order."""
    cut = platform.stream_status()[0].cut
    for view, key in KEYS.items():
        wanted = truth(platform, view, rows).filter(pl.col("valid_from").dt.epoch("us") < cut)
        found = topic_steps(platform, view, wanted.schema)
        assert wanted.height > at_least
        assert_frame_equal(
            found.select(wanted.columns).sort([key, "valid_from"]), wanted.sort([key, "valid_from"]), rel_tol=1e-12
        )
        assert found.group_by(key).agg(pl.col("partition").n_unique())["partition"].max() == 1
        assert (
            found["valid_from"].is_sorted()
            or found.select((pl.col("valid_from").diff() >= pl.duration()).fill_null(value=True).over(key).all()).item()
        )


def sink_of(platform: Platform, prefix: str) -> TopicSink:
    return TopicSink.of(platform.context, "gps", prefix)


def epochs_of(platform: Platform, prefix: str) -> int | None:
    """How far the topics say that they are."""
    transactions = sink_of(platform, prefix).transactions
    found = transactions.mark.read(settled=True)
    transactions.close()
    return found


# ------------------------------------------------------------ what is there


def test_each_step_is_there_once_as_a_message(tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap, sinks=sinks), pings(2000)
    write(tmp_path, "a.jsonl", rows[:1500])
    platform.stream("gps", ONCE)
    write(tmp_path, "a.jsonl", rows[1500:])
    platform.stream("gps", ONCE)
    assert_topics_right(platform, rows)
    status = platform.stream_status()[0]
    assert status.sinks == {"online": status.epoch, "kafka": status.epoch}
    assert epochs_of(platform, prefix) == status.epoch
    first = messages_of(kafka_bootstrap, f"{prefix}zone_now")[0]
    assert (first.key() or b"").startswith(b'{"zone":"z')
    assert (first.value() or b"").startswith((first.key() or b"")[:-1] + b',"valid_from":"2026-01-05T08:0')
    assert list(dict(first.headers() or [])) == ["generation", "epoch"]


@pytest.mark.thorough
def test_a_topic_feeds_a_stream_into_topics(tmp_path: Path, kafka_bootstrap: str, sinks: str) -> None:
    feed, rows = Feed.new(kafka_bootstrap), pings(1500, seed=2)
    platform = feed.project(tmp_path, sinks=sinks)
    feed.send(rows)
    platform.stream("gps", ONCE)
    assert_topics_right(platform, rows)


@pytest.mark.thorough
def test_topics_are_added_to_a_stream_that_ran_without(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str
) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap), pings(2000)
    write(tmp_path, "a.jsonl", rows[:1000])
    platform.stream("gps", Pace(0.0, 700, every_step=True, until_idle=True, idle_seconds=3600))
    cut = platform.stream_status()[0].cut
    platform = project(tmp_path, kafka=kafka_bootstrap, sinks=f"{sinks}, lake")
    write(tmp_path, "a.jsonl", rows[1000:])
    platform.stream("gps", Pace(0.0, 700, every_step=True, until_idle=True, idle_seconds=3600))
    for view in KEYS:
        in_lake = streamed_steps(platform, view).filter(pl.col("valid_from").dt.epoch("us") >= cut)
        assert topic_steps(platform, view, truth(platform, view, rows).schema).height == in_lake.height > 100


@pytest.mark.thorough
def test_workers_that_change_in_number_write_each_step_once(tmp_path: Path, kafka_bootstrap: str, sinks: str) -> None:
    drivers, rows = Drivers(kafka_bootstrap, f"gps-{uuid.uuid4().hex[:8]}"), pings(3000, seed=6)
    platform = drivers.project(tmp_path, sinks=sinks)
    for number, workers in enumerate([2, 2, 1, 2]):
        drivers.send(rows[number * 700 : (number + 1) * 700])
        platform.stream("gps", ONCE, workers=workers)
    cut = min(status.cut for status in platform.stream_status())
    before = pl.col("valid_from").dt.epoch("us") < cut
    wanted = truth(platform, "driver_now", rows[:2800]).filter(before).sort("driver_id", "valid_from")
    found = topic_steps(platform, "driver_now", wanted.schema).filter(before).select(wanted.columns)
    assert wanted.height > 1_000
    assert_frame_equal(found.sort("driver_id", "valid_from"), wanted, rel_tol=1e-12)


# ------------------------------------------------------------ kills


@pytest.mark.parametrize(
    "crash_at", [CRASHES[0], *(pytest.param(point, marks=pytest.mark.thorough) for point in CRASHES[1:])]
)
def test_a_kill_loses_and_doubles_nothing(tmp_path: Path, kafka_bootstrap: str, sinks: str, crash_at: str) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap, sinks=f"{sinks}, lake"), pings(1800, seed=7)
    write(tmp_path, "a.jsonl", rows)
    killed = run(tmp_path, crash_at=crash_at)
    assert killed.returncode == -9, killed.stderr
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    assert_topics_right(platform, rows)
    for view in KEYS:
        in_lake = streamed_steps(platform, view)
        assert topic_steps(platform, view, truth(platform, view, rows).schema).height == in_lake.height


@pytest.mark.thorough
def test_kills_at_every_place_one_after_the_other(tmp_path: Path, kafka_bootstrap: str, sinks: str) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap, sinks=f"{sinks}, lake"), pings(6000, seed=8)
    for number, point in enumerate(CRASHES):
        write(tmp_path, "a.jsonl", rows[number * 500 : (number + 1) * 500])
        place, _, times = point.partition(":")
        killed = run(tmp_path, "200", crash_at=f"{place}:{min(2, int(times))}")
        assert killed.returncode == -9, (point, killed.stderr)
    write(tmp_path, "a.jsonl", rows[6000:])
    again = run(tmp_path)
    assert again.returncode == 0, again.stderr
    assert_topics_right(platform, rows)


# ------------------------------------------------------------ other writers


def test_a_second_stream_shuts_the_first_one_out(tmp_path: Path, kafka_bootstrap: str, sinks: str) -> None:
    """As on another machine, with a copy of all that the first one has."""
    platform, rows = project(tmp_path / "one", kafka=kafka_bootstrap, sinks=sinks), pings(1500, seed=3)
    write(tmp_path / "one", "a.jsonl", rows[:700])
    with pytest.raises(FencedError, match="another writer took over"), running(platform, ON):  # noqa: PT012 - its end
        until(lambda: status_epoch(platform) > 0 and platform.stream_status()[0].events >= 700)
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        second = Platform.open(tmp_path / "two")
        write(tmp_path / "two", "a.jsonl", rows[700:])
        second.stream("gps", ONCE)
        write(tmp_path / "one", "a.jsonl", pings(500, seed=99))
        until(lambda: platform.stream_status()[0].condition == "failed")
    assert_topics_right(second, rows, at_least=50)


def status_epoch(platform: Platform) -> int:
    found = platform.stream_status()
    return found[0].epoch if found else 0


@pytest.fixture
def name() -> str:
    return f"w{uuid.uuid4().hex[:8]}"


def writer(bootstrap: str, name: str, **options: str) -> Transactions:
    return Transactions(bootstrap, name, f"{name}-epochs", options)


def test_what_a_zombie_wrote_is_never_seen(kafka_bootstrap: str, name: str) -> None:
    one, two = writer(kafka_bootstrap, name), writer(kafka_bootstrap, name)
    one.mark.make_topics([name])
    one.open()
    one.prepare(1, [Outgoing(name, [("k", "one")])])
    assert two.mark.read(settled=False) is None  # what is not committed is not waited for
    two.open()
    assert two.mark.read(settled=True) is None
    with pytest.raises(FencedError, match="Nothing of the transaction is seen"):
        one.commit()
    with pytest.raises(FencedError):
        one.open()  # or it would shut its successor out
    two.prepare(1, [Outgoing(name, [("k", "two")])])
    two.commit()
    assert two.mark.read(settled=True) == 1
    one.close()
    two.close()
    assert [message.value() for message in messages_of(kafka_bootstrap, name)] == [b"two"]
    assert len(messages_of(kafka_bootstrap, name, "read_uncommitted")) == 2


def test_a_stream_that_fell_behind_does_not_shut_its_successor_out(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str
) -> None:
    platform = project(tmp_path, kafka=kafka_bootstrap, sinks=sinks)
    behind, ahead = sink_of(platform, prefix), sink_of(platform, prefix)
    behind.begin(["zone_now"], 0, 0, anew=False)
    ahead.begin(["zone_now"], 0, 0, anew=False)
    ahead.write(1, [])
    ahead.write(2, [])
    late = sink_of(platform, prefix)
    with pytest.raises(StateError, match="has epoch 2, but the log of epochs here has 1"):
        late.begin(["zone_now"], 1, 1, anew=False)
    with pytest.raises(FencedError):
        behind.write(1, [])
    ahead.write(3, [])  # was not disturbed
    ahead.write(3, [])  # has it
    for each in (behind, ahead, late):
        each.close()
    assert epochs_of(platform, prefix) == 3


# ------------------------------------------------------------ what goes wrong


@pytest.mark.thorough
def test_a_broker_that_dies_in_the_middle_is_waited_for(tmp_path: Path, kafka_home: Path) -> None:
    rows = pings(1500, seed=4)
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        platform = project(tmp_path / "p", kafka=kafka.bootstrap, sinks="online, kafka:city.")
        with running(platform, ON) as told:
            write(tmp_path / "p", "a.jsonl", rows[:500])
            until(lambda: epochs_of(platform, "city.") not in (None, 0))
            kafka.kill()
            write(tmp_path / "p", "a.jsonl", rows[500:1000])
            time.sleep(2)
            kafka.start()
            write(tmp_path / "p", "a.jsonl", rows[1000:])
            until(lambda: platform.stream_status()[0].events == len(rows), 60)
        assert platform.stream_status()[0].condition == "stopped", told
        assert_topics_right(platform, rows)


@pytest.mark.thorough
def test_a_broker_that_dies_again_and_again_is_waited_for(tmp_path: Path, kafka_home: Path) -> None:
    """It feeds the stream and takes its steps."""
    rows = pings(4000, seed=5)
    with KafkaServer(tmp_path / "kafka", home=kafka_home) as kafka:
        feed = Feed.new(kafka.bootstrap)
        platform = feed.project(tmp_path / "p", sinks="online, lake, kafka:city.")
        with running(platform, Pace(0.02, idle_seconds=3600, every_step=True)):
            until(lambda: bool(platform.stream_status()))
            for number in range(8):
                feed.send(rows[number * 500 : (number + 1) * 500])
                time.sleep(0.3 + number * 0.07)
                kafka.kill()
                time.sleep(number * 0.3)
                kafka.start()
            feed.send(rows[4000:])
            until(lambda: has_written(platform, len(rows)), 60)
        assert_topics_right(platform, rows)


def has_written(platform: Platform, events: int) -> bool:
    """Whether all was read, and every sink has the last epoch: a stop in the middle of a trouble is told as one."""
    (status,) = platform.stream_status()
    return status.events == events and set(status.sinks.values()) == {status.epoch}


def test_messages_that_are_not_delivered_fail_their_transaction(kafka_bootstrap: str, name: str) -> None:
    """A topic that was deleted meanwhile."""
    found = writer(kafka_bootstrap, name, **{"topic.metadata.propagation.max.ms": "100"})
    found.mark.make_topics([name])
    found.open()
    with pytest.raises(AbortedError, match=f"topic 'no-{name}'"):
        found.prepare(1, [Outgoing(name, [("k", "v")]), Outgoing(f"no-{name}", [("k", "v")])])
    found.open()
    assert found.mark.read(settled=True) is None
    found.prepare(1, [Outgoing(name, [("k", "again")])])
    found.commit()
    found.close()
    assert [message.value() for message in messages_of(kafka_bootstrap, name)] == [b"again"]


def test_a_message_that_is_too_large_stops_the_stream(kafka_bootstrap: str, name: str) -> None:
    found = writer(kafka_bootstrap, name)
    found.mark.make_topics([name])
    found.open()
    with pytest.raises(StreamError, match="too large") as caught:
        found.prepare(1, [Outgoing(name, [("k", "v" * 2_000_000)])])
    assert not isinstance(caught.value, AbortedError)  # it would be as large again
    found.close()


@pytest.mark.parametrize("epoch", [1, pytest.param(99, marks=pytest.mark.thorough)])
def test_topics_of_another_epoch_stop_the_stream(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str, epoch: int
) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap, sinks=sinks), pings(2000)
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", ONCE)
    has = platform.stream_status()[0].epoch
    transactions = sink_of(platform, prefix).transactions
    transactions.open()
    transactions.prepare(epoch, [])
    transactions.commit()
    transactions.close()
    told = f"group 'headrace-city-{prefix}gps' has epoch {epoch}, but the log of epochs here has {has}.*--reset"
    with pytest.raises(StateError, match=told):
        platform.stream("gps", ONCE)
    assert epochs_of(platform, prefix) == epoch


@pytest.mark.thorough
def test_a_run_without_the_topics_leaves_a_gap_that_is_told_of(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str
) -> None:
    rows = pings(2000)
    write(tmp_path, "a.jsonl", rows[:1000])
    project(tmp_path, kafka=kafka_bootstrap, sinks=sinks).stream("gps", ONCE)
    write(tmp_path, "a.jsonl", rows[1000:])
    project(tmp_path, sinks="online").stream("gps", ONCE)
    with pytest.raises(StateError, match="without kafka in stream_sinks"):
        project(tmp_path, kafka=kafka_bootstrap, sinks=sinks).stream("gps", ONCE)


@pytest.mark.thorough
def test_a_mark_that_is_gone_after_a_crash_stops_the_stream(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str
) -> None:
    platform = project(tmp_path, kafka=kafka_bootstrap, sinks=sinks)
    write(tmp_path, "a.jsonl", pings(2000))
    assert run(tmp_path, crash_at="after kafka commit:3").returncode == -9
    shutil.move(tmp_path / "headrace.toml", tmp_path / "was.toml")  # another prefix has no mark
    (tmp_path / "headrace.toml").write_text((tmp_path / "was.toml").read_text().replace(prefix, f"other-{prefix}"))
    with pytest.raises(StateError, match="it is not known whether its steps are there"):
        Platform.open(tmp_path).stream("gps", ONCE)
    shutil.move(tmp_path / "was.toml", tmp_path / "headrace.toml")
    platform.stream("gps", ONCE)


def test_a_reset_begins_anew_with_a_higher_generation(
    tmp_path: Path, kafka_bootstrap: str, prefix: str, sinks: str
) -> None:
    platform, rows = project(tmp_path, kafka=kafka_bootstrap, sinks=sinks), pings(2000)
    write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", ONCE)
    platform.stream("gps", ONCE, reset=True)
    platform.stream("gps", ONCE)
    assert_topics_right(platform, rows)
    schema = truth(platform, "zone_now", rows).schema
    found = decoded(messages_of(kafka_bootstrap, f"{prefix}zone_now"), schema)
    counts = found.group_by("generation").len().sort("generation")
    assert counts.height == 2
    assert counts["len"].n_unique() == 1
    assert epochs_of(platform, prefix) == platform.stream_status()[0].epoch


def test_topics_without_a_broker_in_the_settings_are_refused(tmp_path: Path) -> None:
    platform = project(tmp_path, sinks="online, kafka:city.")
    write(tmp_path, "a.jsonl", pings(10))
    with pytest.raises(SettingsError, match=r'stream_sinks names kafka:city\., .* set kafka = "host:9092"'):
        platform.stream("gps", ONCE)


def test_brokers_that_can_not_be_reached_stop_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Transactions.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "reach_seconds", 1.0)
    platform = project(tmp_path, kafka="127.0.0.1:1", sinks="online, kafka:city.")
    write(tmp_path, "a.jsonl", pings(10))
    with pytest.raises(AbortedError, match="Check that they are running"):
        platform.stream("gps", ONCE)
