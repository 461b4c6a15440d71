"""The windows that peers wrote, and the same by Polars over what the topic holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.stream_peers.events import CHUNK

KEYS: Final = ("driver_id", "window_end")
_TYPES: Final = {"driver_id": pl.Int64(), "window_end": pl.Datetime("us", "UTC"), "count": pl.Int64()}
_PING: Final = pl.Struct({"event_id": pl.String, "driver_id": pl.Int64, "ts": pl.String, "speed_mps": pl.Float64})


def heads(bootstrap: str, topic: str) -> dict[str, int]:
    """Behind the newest message of each partition."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "headrace-bench-heads"})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        found = {
            str(p): consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in sorted(partitions)
        }
    finally:
        consumer.close()
    return found


def written(folder: Path) -> pl.DataFrame:
    """What a peer wrote: driver_id, window_end, count, mean; each window as it was written last."""
    if list(folder.glob("*.csv")):
        rows = pl.read_csv(folder / "*.csv", has_header=False, new_columns=[*_TYPES, "mean"])
        rows = rows.with_columns(pl.from_epoch("window_end").dt.cast_time_unit("us").dt.replace_time_zone("UTC"))
    else:  # a Delta table that was only appended to holds the same files
        rows = pl.read_parquet(folder / "*.parquet").sort("batch").unique(KEYS, keep="last").drop("batch")
    return rows.with_columns(pl.col(name).cast(kind) for name, kind in _TYPES.items()).sort(KEYS)


def expected(
    bootstrap: str, topic: str, ends: Mapping[str, int], size_seconds: int = 300, hop_seconds: int = 30,
    dedupe: bool = False,
) -> pl.DataFrame:  # fmt: skip
    """The same columns, computed at once from the messages below some offsets."""
    pings = pl.concat([_pings(lines) for lines in _read(bootstrap, topic, ends)])
    if dedupe:
        pings = pings.unique("event_id")
    pane = pl.col("ts").dt.truncate(f"{hop_seconds}s").alias("pane")
    speed = pl.col("speed_mps")
    panes = pings.group_by("driver_id", pane).agg(pl.len().cast(pl.Int64).alias("count"), speed.sum().alias("sum"))
    ends_after = range(hop_seconds, size_seconds + 1, hop_seconds)
    end = [panes.with_columns(pl.col("pane").dt.offset_by(f"{after}s").alias("window_end")) for after in ends_after]
    windows = pl.concat(end).group_by(KEYS).agg(pl.col("count", "sum").sum())
    return windows.select(*KEYS, "count", (pl.col("sum") / pl.col("count")).alias("mean")).sort(KEYS)


def is_equal(one: pl.DataFrame, other: pl.DataFrame, within: float = 1e-9) -> bool:
    """Whether two have the same windows, with the same counts and, but for rounding, the same means."""
    whole = ["driver_id", "window_end", "count"]
    return one.select(whole).equals(other.select(whole)) and ((one["mean"] - other["mean"]).abs() <= within).all()


def _pings(lines: list[bytes]) -> pl.DataFrame:
    text = pl.Series("line", [line.decode() for line in lines])
    ping = text.str.json_decode(_PING).struct.unnest()
    return ping.with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC"))


def _read(bootstrap: str, topic: str, ends: Mapping[str, int]) -> list[list[bytes]]:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "headrace-bench-check", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, int(partition), 0) for partition in ends])
    read: list[list[bytes]] = []
    left = sum(ends.values())
    try:
        while left:
            messages = consumer.consume(CHUNK, timeout=1.0)
            if wrong := next((m.error() for m in messages if m.error()), None):
                raise RuntimeError(f"topic {topic} could not be read: {wrong}")
            lines = [m.value() or b"" for m in messages if (m.offset() or 0) < ends[str(m.partition())]]
            left -= len(lines)
            read.append(lines)
    finally:
        consumer.close()
    return [lines for lines in read if lines]
