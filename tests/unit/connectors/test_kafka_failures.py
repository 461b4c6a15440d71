"""What an error of Kafka becomes: whether waiting mends it, and what else to do."""

from __future__ import annotations

import pytest

pytest.importorskip("confluent_kafka")

from confluent_kafka import KafkaError

from headrace.connectors.kafka_failures import failure
from headrace.errors import StreamError, UnreachableError

LOCATION = "topic 'gps' of Kafka at kafka:9092"


@pytest.mark.parametrize("code", [KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError.LEADER_NOT_AVAILABLE])
def test_brokers_that_are_away_can_be_waited_for(code: int) -> None:
    error = failure("read", LOCATION, KafkaError(code), "Connection refused")
    assert type(error) is UnreachableError
    assert str(error) == (
        f"Can't read {LOCATION}: its brokers can't be reached (Connection refused). Check that they are running, and "
        "their addresses in the setting `kafka`; it goes on where it stopped when it is started again."
    )


@pytest.mark.parametrize(
    ("code", "match"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "it is not allowed: .*the rights on the topic"),
        (KafkaError.INVALID_MSG, r"it says: .*\(INVALID_MSG\)"),
    ],
)
def test_what_waiting_does_not_mend_is_another_error(code: int, match: str) -> None:
    error = failure("read", LOCATION, KafkaError(code))
    assert type(error) is StreamError
    with pytest.raises(StreamError, match=match):
        raise error
