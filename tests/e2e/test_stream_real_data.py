"""Buses of Austin, replayed through Kafka in the order in which they arrived: stream and batch make the same steps.

The public data does not say when a ping arrived: one in twenty gets a lateness from a seed, of up to four minutes.
``python -m tests.e2e.test_stream_real_data FILE`` replays all of them, or with ``FILE 40000`` so many, through a broker
of its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data_platform.stack.topics import create_topic
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace

FEATURES = Path(__file__).parent / "real_data" / "austin_bus" / "features.py"
VIEWS = ("vehicle_now", "on_route", "cell_now")
PARTITIONS = 4
_HELD_AT_ONCE = 50_000


@pytest.mark.kafka
@pytest.mark.shared_data
@pytest.mark.slow
def test_a_month_of_buses_streams_to_the_steps_of_a_backfill(
    tmp_path: Path, shared_data: Path, kafka_bootstrap: str
) -> None:
    counted = replay(tmp_path, shared_data / "austin_bus_pings_2015_2017.parquet", kafka_bootstrap, 40_000)
    assert counted["compared"] == counted["streamed"] == counted["in gold"] > 50_000, counted
    assert counted["served"] > 200, counted
    assert not [name for name in counted if name.startswith("differ")], counted


def replay(root: Path, data: Path, bootstrap: str, rows: int | None) -> Counter[str]:
    """Stream and follow the same pings, publish what the batch lane makes of them, and compare every step."""
    topic = f"pings-{uuid.uuid4().hex[:8]}"
    platform = _project(root, bootstrap, topic)
    counted: Counter[str] = Counter(pings=_produce(bootstrap, topic, arrivals(data, rows)))
    mark = time.monotonic()
    platform.stream("pings", Pace(0.0, 50_000, every_step=True, until_idle=True, idle_seconds=3600))
    mark = _timed(counted, "streaming", mark)
    platform.follow("pings", until_idle=True)
    mark = _timed(counted, "following", mark)
    for view in VIEWS:
        platform.backfill(view)
    mark = _timed(counted, "backfilling", mark)
    for report in platform.verify_stream():
        found = {"compared": report.compared, "streamed": report.streamed, "in gold": report.from_gold}
        counted.update(found | {"served": report.served})
        counted.update({f"differ: {cause}": number for cause, number in report.by_cause.items()})
        for each in report.differences[:20]:
            print(report.view, each)
    _timed(counted, "verifying", mark)
    platform.context.online.close()
    return counted


def _timed(counted: Counter[str], name: str, since: float) -> float:
    now = time.monotonic()
    counted[f"seconds {name}"] = round(now - since)
    return now


def _project(root: Path, bootstrap: str, topic: str) -> Platform:
    text = FEATURES.read_text()
    text = text.replace('"file_day": hr.String,', '"file_day": hr.String, "seen_at": hr.Timestamp,')
    text = text.replace(
        'batch=hr.Files("landing/pings_*.parquet"),', f'available_time="seen_at", stream=hr.Kafka("{topic}"),'
    )
    (root / "features.py").write_text(text)
    (root / "headrace.toml").write_text(
        f'name = "austin"\nmodule = "features"\nkafka = "{bootstrap}"\nstream_sinks = "online, lake"\n'
    )
    platform = Platform.open(root)
    platform.apply()
    return platform


def arrivals(data: Path, rows: int | None) -> pl.DataFrame:
    """Pings in the order in which they arrived: their vehicle, and the message."""
    found = pl.read_parquet(data)
    found = found.head(rows) if rows else found
    chosen = np.random.default_rng(7)
    late_us = np.where(chosen.random(len(found)) < 0.05, chosen.integers(0, 240_000_000, len(found)), 0)
    seen = pl.col("ping_ts").dt.epoch("us") + pl.Series(late_us)
    timed = found.with_columns(seen.cast(pl.Datetime("us", "UTC")).alias("seen_at")).sort(
        "seen_at", maintain_order=True
    )
    text = timed.with_columns(
        pl.col(name).dt.cast_time_unit("us").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for name in ("ping_ts", "seen_at")
    )
    message = pl.struct(pl.all()).struct.json_encode().alias("message")
    return text.select(pl.col("vehicle_id").cast(pl.String).alias("key"), message)


def _produce(bootstrap: str, topic: str, messages: pl.DataFrame) -> int:
    """Send messages to the partitions of their vehicles, in order."""
    from confluent_kafka import Producer

    create_topic(bootstrap, topic, PARTITIONS)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, "log_level": 0})
    for number, (key, message) in enumerate(messages.iter_rows()):
        producer.produce(topic, message, key)
        if number % _HELD_AT_ONCE == 0:
            producer.flush(60)
    assert producer.flush(60) == 0
    return messages.height


def main() -> None:
    """Replay the pings of a file through a broker that lives as long as that takes."""
    from data_platform.stack.kafka import KafkaServer

    with tempfile.TemporaryDirectory() as folder, KafkaServer(Path(folder) / "kafka") as kafka:
        (Path(folder) / "project").mkdir()
        data, *rows = sys.argv[1:]
        counted = replay(Path(folder) / "project", Path(data), kafka.bootstrap, int(rows[0]) if rows else None)
        print("\n".join(f"{name}: {number:,}" for name, number in counted.items()))


if __name__ == "__main__":
    main()
