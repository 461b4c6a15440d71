"""Kills a stream, its broker and its store at random moments, and recounts everything from the topic at the end.

``python -m tests.chaos --kills 200 --seed 1 --events 1000000``

Pings with copies and disorder go into Kafka all the while. The stream is killed, stopped and continued, or asked to
end; the broker, which also takes its steps, is killed and started again; Redis is killed and comes back empty. At the
end the stream reads the rest, and the online values and every step in the lake and on the views' topics are compared
with what the source's own records say.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from confluent_kafka import Producer

from data_platform.stack.kafka import KafkaServer
from data_platform.stack.maven import kafka_home
from data_platform.stack.redis import RedisServer
from data_platform.stack.topics import create_topic
from headrace.platform import Platform
from headrace.types import SECOND
from tests.step_topics import topic_steps
from tests.streaming import ROOT, as_json, online, pings, project, streamed_steps, truth

TOPIC = "gps"
_AT_ONCE = 400
_SECONDS_EACH = 0.12
"""So many pings every so often: some of them share the broker's millisecond."""
VIEWS = {"driver_now": ("model", "driver_id"), "zone_now": ("zones", "zone")}


@dataclass(slots=True)
class Tally:
    """What was done, and what came of it."""

    done: Counter[str] = field(default_factory=Counter)
    records: int = 0
    events: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    messages: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def is_clean(self) -> bool:
        """Whether nothing was lost, doubled or wrong."""
        wrong = ("lost", "doubled", "different")
        return not any(counted[name] for counted in (self.steps, self.messages, self.values) for name in wrong)


def chaos(folder: Path, home: Path, kills: int, seed: int, events: int) -> Tally:
    """Do it; see above."""
    began, tally, chosen = time.monotonic(), Tally(), random.Random(seed)
    kafka = KafkaServer(folder / "kafka", home=home).start()
    redis = RedisServer(folder / "redis", settings={"appendonly": "no", "save": '""'}).start()
    try:
        create_topic(kafka.bootstrap, TOPIC, 3)
        platform = project(
            folder / "p", stream=f'hr.Kafka("{TOPIC}")', kafka=kafka.bootstrap, online=redis.url, arrival=False,
            sinks="online, lake, kafka:city.",
        )  # fmt: skip
        ended = threading.Event()
        sending = threading.Thread(target=_send, args=(kafka.bootstrap, events, seed, ended))
        sending.start()
        _disturb(folder / "p", kafka, redis, kills, chosen, tally)
        ended.set()
        sending.join()
        _run(folder / "p", "--until-idle").wait()
        _run(folder / "p", "--until-idle").wait()
        _recount(platform, folder, tally)
    finally:
        kafka.stop()
        redis.stop()
    tally.seconds = time.monotonic() - began
    return tally


def _send(bootstrap: str, events: int, seed: int, ended: threading.Event) -> None:
    """Send pings now and then until there are enough and the disturbance is over."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 120_000, "linger.ms": 5, "log_level": 0})
    sent = number = 0
    began = time.monotonic()
    while sent < events or not ended.is_set():
        if sent < events:
            start = time.time_ns() // 1_000 - 10 * SECOND
            rows = pings(_AT_ONCE, seed * 1_000_000 + number, start=start, every_us=SECOND // 100)
            for row in rows:
                producer.produce(TOPIC, as_json(row), key=str(row["driver_id"]))
            sent, number = sent + len(rows), number + 1
        producer.poll(0.02 if sent >= events else 0.0)
        if sent < events:
            time.sleep(max(0.0, began + _SECONDS_EACH * number - time.monotonic()))
    assert producer.flush(180) == 0


def _run(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headrace", "stream", "--project", str(folder), "--epoch", "0.2", *options]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def _disturb(
    folder: Path, kafka: KafkaServer, redis: RedisServer, kills: int, chosen: random.Random, tally: Tally
) -> None:
    worker = _run(folder)
    try:
        while sum(tally.done.values()) < kills:
            time.sleep(chosen.uniform(0.3, 3.0))
            what = chosen.choice(["kill"] * 5 + ["pause", "pause", "term", "broker", "redis"])
            tally.done[what] += 1
            if what == "broker":
                kafka.kill()
                time.sleep(chosen.uniform(0, 2))
                kafka.start()
            elif what == "redis":
                redis.kill()
                time.sleep(chosen.uniform(0, 1))
                redis.start()
            elif what == "pause":
                worker.send_signal(signal.SIGSTOP)
                time.sleep(chosen.uniform(0, 1))
                worker.send_signal(signal.SIGCONT)
            else:
                worker.send_signal(signal.SIGKILL if what == "kill" else signal.SIGTERM)
            if worker.poll() is not None or what in ("kill", "term"):
                worker.wait()
                worker = _run(folder)
    finally:
        worker.terminate()
        worker.wait()


def _recount(platform: Platform, folder: Path, tally: Tally) -> None:
    rows = _topic(platform)
    tally.records, tally.events = len(rows), len({row["event_id"] for row in rows})
    defined = project(folder / "truth", arrival=True)
    status = platform.stream_status()[0]
    for view, (service, key) in VIEWS.items():
        wanted = truth(defined, view, rows)
        final = wanted.filter(pl.col("valid_from").dt.epoch("us") < status.cut)
        _count_steps(streamed_steps(platform, view).select(wanted.columns), final, key, tally.steps)
        _count_steps(topic_steps(platform, view, wanted.schema).select(wanted.columns), final, key, tally.messages)
        _count_values(platform, service, key, wanted, tally.values)


def _topic(platform: Platform) -> list[dict[str, Any]]:
    """Every ping in the topic, known when the broker took it."""
    import json

    from headrace.connectors.kafka import KafkaStream
    from headrace.types import instant

    stream = KafkaStream(platform.context.settings.kafka, TOPIC)
    found = stream.read({name: (each.earliest, each.head) for name, each in stream.bounds().items()}).frame
    stream.close()
    taken = found.sort("_hr_appended", "_hr_row").select("_hr_raw", pl.col("_hr_appended").dt.epoch("us"))
    made = [(json.loads(raw), at) for raw, at in taken.iter_rows()]
    return [{**row, "ts": instant(row["ts"]), "seen_at": at} for row, at in made]


def _count_steps(found: pl.DataFrame, wanted: pl.DataFrame, key: str, counted: Counter[str]) -> None:
    on = [key, "valid_from"]
    counted["compared"] += wanted.height
    counted["doubled"] += found.height - found.unique(on).height
    counted["lost"] += wanted.join(found, on=on, how="anti").height
    counted["different"] += found.join(wanted, on=on, how="anti").height
    both = wanted.join(found, on=on, suffix="_found")
    for name in (column for column in wanted.columns if column not in on):
        counted["different"] += both.filter(~_same(both, name, f"{name}_found")).height


def _count_values(platform: Platform, service: str, key: str, wanted: pl.DataFrame, counted: Counter[str]) -> None:
    last = wanted["valid_from"].dt.epoch("us").max()
    assert isinstance(last, int)
    keys = wanted[key].unique().sort()
    for at in (last + 1, last + 60 * SECOND, last + 600 * SECOND, time.time_ns() // 1_000 + 5 * SECOND):
        in_force = wanted.filter(pl.col("valid_from").dt.epoch("us") <= at).sort("valid_from").unique(key, keep="last")
        right = keys.to_frame().join(in_force, on=key, how="left", maintain_order="left")
        found = online(platform, service, {key: keys.to_list()}, at)
        for name, values in found.items():
            column = name.split("__")[1]
            both = right.select(column).with_columns(pl.Series("found", values, dtype=right[column].dtype))
            counted["compared"] += both.height
            counted["different"] += both.filter(~_same(both, column, "found")).height


def _same(frame: pl.DataFrame, one: str, other: str) -> pl.Expr:
    if frame.schema[one].is_float():
        near = (pl.col(one) - pl.col(other)).abs() <= 1e-9 * (1 + pl.col(one).abs())
        return (near | (pl.col(one).is_null() & pl.col(other).is_null())).fill_null(value=False)
    return pl.col(one).eq_missing(pl.col(other))


def main() -> None:
    """Run it and print the tally; exit 1 if anything was lost, doubled or wrong."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--events", type=int, default=1_000_000)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-chaos-") as folder:
        tally = chaos(Path(folder), kafka_home(ROOT / ".stack"), given.kills, given.seed, given.events)
    print(tally)
    sys.exit(not tally.is_clean())


if __name__ == "__main__":
    main()
