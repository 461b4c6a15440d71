"""Steps that a stream wrote to topics, as a consumer gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from headrace.platform import Platform
from headrace.platform.stream_sinks import Sinks

_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"
if TYPE_CHECKING:
    Messages = list[Message[Any, Any]]


def messages_of(bootstrap: str, topic: str, level: str = "read_committed") -> Messages:
    """All messages of a topic, partition by partition, in order; none if it is not there."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "step-topics", "isolation.level": level, "log_level": 0,
        "enable.partition.eof": True, "enable.auto.commit": False,
    })  # fmt: skip
    found: dict[int, Messages] = {number: [] for number in consumer.list_topics(topic, 30).topics[topic].partitions}
    consumer.assign([TopicPartition(topic, number, 0) for number in found])
    ended: set[int] = set()
    while len(ended) < len(found):
        message = consumer.poll(30)
        assert message is not None, f"{topic} does not answer"
        error, number = message.error(), message.partition()
        assert number is not None
        if error is None:
            found[number].append(message)
            continue
        assert error.code() == KafkaError._PARTITION_EOF, error
        ended.add(number)
    consumer.close()
    return [message for number in sorted(found) for message in found[number]]


def decoded(messages: Messages, schema: pl.Schema) -> pl.DataFrame:
    """Messages as steps, in their order, with generation, epoch and partition."""
    texts = {name: pl.String if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
    times = [name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)]
    rows = [msgspec.json.decode(message.value() or b"") for message in messages]
    heads = [dict(message.headers() or []) for message in messages]
    return pl.DataFrame(rows, schema=texts).with_columns(
        pl.col(times).str.to_datetime(_TIME, time_unit="us", time_zone="UTC"),
        pl.Series("generation", [int(head["generation"] or 0) for head in heads], dtype=pl.Int64),
        pl.Series("epoch", [int(head["epoch"] or 0) for head in heads], dtype=pl.Int64),
        pl.Series("partition", [message.partition() for message in messages], dtype=pl.Int64),
    )


def topic_steps(platform: Platform, view: str, schema: pl.Schema) -> pl.DataFrame:
    """The steps of a view on its topic, of its newest generation, in the topic's order."""
    settings = platform.context.settings
    found = decoded(messages_of(settings.kafka, Sinks.of(settings.stream_sinks).topics + view), schema)
    return found.filter(pl.col("generation") == found["generation"].max())
