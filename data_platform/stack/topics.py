"""Topics of a broker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from data_platform.stack.errors import StackError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

__all__ = ["cluster_of", "create_topic", "delete_records", "delete_topic"]

_TIMEOUT_SECONDS: Final = 30.0


def create_topic(
    bootstrap: str,
    name: str,
    partitions: int = 1,
    append_time: bool = True,
    settings: Mapping[str, str] | None = None,
) -> bool:
    """Make a topic and wait until it can be written, unless it is there with as many partitions.

    Parameters
    ----------
    bootstrap : str
        The broker's address.
    name : str
        The topic.
    partitions : int
        How many it has.
    append_time : bool
        Whether a record's time is that at which the broker appended it, which producers can't set; else it is the
        producers'.
    settings : mapping of str to str, optional
        More settings of the topic, in Kafka's names.

    Returns
    -------
    bool
        Whether the topic was made.

    Raises
    ------
    StackError
        If it is there with another number of partitions, or can't be made.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.cimpl import NewTopic

    admin = _admin(bootstrap)
    times = {"message.timestamp.type": "LogAppendTime" if append_time else "CreateTime"}
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config={**times, **(settings or {})})
    try:
        _done(admin.create_topics([topic], operation_timeout=_TIMEOUT_SECONDS))
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise _failed(bootstrap, f"topic '{name}' can't be made", error) from error
        _check_partitions(admin, bootstrap, name, partitions)
        return False
    return True


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic with all its records.

    Raises
    ------
    StackError
        If it is not there, or can't be deleted.
    """
    from confluent_kafka import KafkaException

    admin = _admin(bootstrap)
    try:
        _done(admin.delete_topics([name], operation_timeout=_TIMEOUT_SECONDS))
    except KafkaException as error:
        raise _failed(bootstrap, f"topic '{name}' can't be deleted", error) from error


def delete_records(bootstrap: str, name: str, before: Mapping[int, int]) -> None:
    """Delete the oldest records of a topic, as its retention would.

    Parameters
    ----------
    bootstrap : str
        The broker's address.
    name : str
        The topic.
    before : mapping of int to int
        For each partition, the first offset that stays.

    Raises
    ------
    StackError
        If they can't be deleted.
    """
    from confluent_kafka import KafkaException, TopicPartition

    first = [TopicPartition(name, partition, offset) for partition, offset in before.items()]
    admin = _admin(bootstrap)
    try:
        _done(admin.delete_records(first, operation_timeout=_TIMEOUT_SECONDS))
    except KafkaException as error:
        raise _failed(bootstrap, f"records of topic '{name}' can't be deleted", error) from error


def cluster_of(bootstrap: str, timeout_seconds: float) -> str | None:
    """The name of the cluster that answers with at least one broker; None if none does in time."""
    from confluent_kafka import KafkaException

    try:
        found = _admin(bootstrap).list_topics(timeout=timeout_seconds)
    except KafkaException:
        return None
    return str(found.cluster_id) if found.brokers else None


def _check_partitions(admin: AdminClient, bootstrap: str, name: str, partitions: int) -> None:
    found = len(admin.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name].partitions)
    if found != partitions:
        raise StackError(
            f"topic '{name}' of {bootstrap} is there with {found} partitions, and was asked for with {partitions}: "
            "use another name, or delete it first"
        )


def _admin(bootstrap: str) -> AdminClient:
    """A client, which has to be kept until its answers are there."""
    try:
        from confluent_kafka.admin import AdminClient
    except ModuleNotFoundError as error:
        raise StackError("Kafka is asked by confluent-kafka: pip install 'headrace[kafka]'") from error
    # What a broker that is just starting does not answer yet is no news.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})


def _done(futures: Mapping[Any, Any]) -> None:
    for future in futures.values():
        future.result(timeout=2 * _TIMEOUT_SECONDS)


def _failed(bootstrap: str, what: str, error: Exception) -> StackError:
    return StackError(f"{bootstrap}: {what}: {error.args[0].str()}")
