"""Where producers put keys: by the values that Java's client is tested with, and by librdkafka on a real broker."""

from __future__ import annotations

import uuid

import polars as pl
import pytest
from confluent_kafka import Producer

from data_platform.stack.topics import create_topic
from headrace.streaming.partitioners import partitions_of

POSITIVE = 0x7FFFFFFF
JAVA = {  # of org.apache.kafka.common.utils.UtilsTest
    "21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}  # fmt: skip


def test_murmur2_is_that_of_java() -> None:
    found = partitions_of(pl.Series([*JAVA]), "murmur2", 1 << 31)
    assert found.tolist() == [value & POSITIVE for value in JAVA.values()]


@pytest.mark.kafka
@pytest.mark.parametrize(("ours", "theirs"), [("murmur2", "murmur2"), ("crc32", "consistent")])
def test_keys_are_where_librdkafka_puts_them(kafka_bootstrap: str, ours: str, theirs: str) -> None:
    topic, keys = f"keys-{uuid.uuid4().hex[:8]}", [*map(str, range(-50, 150)), "", "é", "a b"]
    found: dict[bytes | None, int | None] = {}
    create_topic(kafka_bootstrap, topic, 7)
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "partitioner": theirs, "log_level": 0})
    for key in keys:
        producer.produce(
            topic, b"{}", key=key, on_delivery=lambda _, sent: found.update({sent.key(): sent.partition()})
        )
    assert producer.flush(60) == 0
    assert partitions_of(pl.Series(keys), ours, 7).tolist() == [found[key.encode()] for key in keys]
