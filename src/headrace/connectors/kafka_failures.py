"""What Kafka and the way to it say: what passes by itself, and what to do about the rest."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

from headrace.errors import StreamError, UnreachableError

PASSING: Final = frozenset({
    "_ALL_BROKERS_DOWN", "_DESTROY_BROKER", "_NOENT", "_RESOLVE", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "_TRANSPORT",
    "_UNKNOWN_PARTITION", "_UNKNOWN_TOPIC", "_WAIT_CACHE", "_WAIT_COORD", "BROKER_NOT_AVAILABLE",
    "FENCED_LEADER_EPOCH", "LEADER_NOT_AVAILABLE", "NETWORK_EXCEPTION", "NOT_LEADER_FOR_PARTITION",
    "OFFSET_NOT_AVAILABLE", "REPLICA_NOT_AVAILABLE", "REQUEST_TIMED_OUT", "UNKNOWN_LEADER_EPOCH",
    "UNKNOWN_TOPIC_OR_PART",
})  # fmt: skip
"""The library asks again by itself: a broker is away, starts, or hands its partitions to another one. That a topic or
partition is not known can mean that too; whoever asks for a topic finds out."""
_NO_ACCESS: Final = frozenset({
    "_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
})  # fmt: skip


def passes(error: KafkaError) -> bool:
    """Whether it may be over in a moment."""
    return error.name() in PASSING


def failure(doing: str, location: str, error: KafkaError, reason: str = "") -> StreamError:
    """The error to raise; an `UnreachableError` where nothing but patience is asked for.

    Parameters
    ----------
    doing : str
        What was being done: "read".
    location : str
        The topic and its brokers.
    error : KafkaError
        What the library says.
    reason : str
        What it said before of its connections.
    """
    if passes(error):
        why = f" ({reason})" if reason else f" ({error.str()})"
        return UnreachableError(
            f"Can't {doing} {location}: its brokers can't be reached{why}. Check that they are running, and their "
            "addresses in the setting `kafka`; it goes on where it stopped when it is started again."
        )
    if error.name() in _NO_ACCESS:
        hint = f"it is not allowed: {error.str()}. Check the user, the password and the rights on the topic"
    else:
        hint = f"it says: {error.str()} ({error.name()})"
    return StreamError(f"Can't {doing} {location}: {hint}.")
