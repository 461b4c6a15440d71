"""Transactions of Kafka, each with a mark that says how far its writer has come.

The mark is an offset of a consumer group, committed in the same transaction as the messages: both are there, or
neither. Who asks for it after a crash knows whether a transaction was committed. One writer has a name; its successor
under this name ends what it left open and shuts it out.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headrace.connectors.kafka_failures import failure, passes
from headrace.connectors.kafka_marks import PAUSE_SECONDS, SLICE_SECONDS, Mark
from headrace.connectors.kafka_options import refuse_own
from headrace.connectors.transactions import AbortedError, Outgoing
from headrace.errors import FencedError, StreamError

TUNING: Final = {
    "compression.type": "lz4",
    "linger.ms": "5",
    "partitioner": "murmur2_random",  # that of Java's producers: an entity is where they would put it
    "queue.buffering.max.messages": "500000",
    "reconnect.backoff.max.ms": "1000",
    "retry.backoff.ms": "10",  # else a commit takes 100 ms
}
OURS: Final = {
    "acks": "all",
    "enable.idempotence": "true",
    "message.timeout.ms": "30000",  # below that of the transaction: it is given up here before the brokers do it
    "transaction.timeout.ms": "60000",
}
"""Everything rests on these."""
REACH_SECONDS: Final = 30.0
_STUCK_SECONDS: Final = 6.0  # a call can miss that its broker is back, and then hangs for minutes, timeout or not
_FENCED: Final = frozenset({"_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "FENCED_INSTANCE_ID"})
_FAILED: Final = frozenset({"_FATAL", "_STATE"})  # the transaction has, earlier: and aborting it tells of what


class Transactions:
    """Writes messages and a mark, all at once. Nothing is connected before the first use.

    Parameters
    ----------
    bootstrap : str
        The brokers: ``host:9092,…``.
    name : str
        Of the writer, the same after each start; also of the consumer group that has its mark.
    marker : str
        The topic that the mark is an offset of. No message is in it.
    options : mapping of str to str, optional
        librdkafka's, such as ``security.protocol``.
    reach_seconds : float
        How long to go on while the brokers can't be reached.

    Raises
    ------
    SettingsError
        If an option is one that headrace sets itself.
    """

    def __init__(
        self, bootstrap: str, name: str, marker: str, options: Mapping[str, str] | None = None,
        *, reach_seconds: float = REACH_SECONDS,
    ) -> None:  # fmt: skip
        self._own = {**OURS, "transactional.id": name}
        self._options = options or {}
        refuse_own(self._options, {*self._own, "group.id"})
        self.mark = Mark(bootstrap, name, marker, self._options, reach_seconds)
        self.location = self.mark.location
        self._reach_seconds = reach_seconds
        self._producer: Producer | None = None
        self._lost: list[tuple[str, KafkaError]] = []
        self._shut_out: FencedError | None = None

    def open(self) -> None:
        """Shut out every other writer of this name, and end what it left open.

        Raises
        ------
        AbortedError
            If the brokers can't be reached.
        """
        if self._shut_out is not None:
            raise self._shut_out
        self._drop()
        self._lost = lost = list[tuple[str, KafkaError]]()

        def delivered(error: KafkaError | None, message: Message[Any, Any]) -> None:
            if error is not None and not lost:
                lost.append((str(message.topic()), error))

        own: dict[str, Any] = {**self._own, "delivery.report.only.error": True, "on_delivery": delivered}
        self._producer = producer = self.mark.client(Producer, {**TUNING, **self._options, **own})
        self._ended("begin to write to", producer.init_transactions)

    def prepare(self, mark: int, outgoing: Iterable[Outgoing]) -> None:
        """Write messages and a mark, so that only `commit` is left to be done.

        Raises
        ------
        AbortedError
            If it can't be done now; nothing of it is seen.
        FencedError
            If a successor took over.
        StreamError
            If it can't be done at all.
        """
        producer = self._opened
        self._ended("write to", lambda _: producer.begin_transaction())
        for each in outgoing:
            self._produce(producer, each)
        self._flush(producer)
        place, group = self.mark.place(mark), self.mark.consumer(settled=True).consumer_group_metadata()
        self._ended("mark in", lambda seconds: producer.send_offsets_to_transaction([place], group, seconds))

    def commit(self) -> None:
        """Let all that was prepared be seen.

        Raises
        ------
        AbortedError
            If it is not known whether it is seen: `open`, then read the `mark`.
        FencedError
            If a successor took over; nothing is seen.
        """
        self._ended("commit to", self._opened.commit_transaction)

    def close(self) -> None:
        """Let go of the brokers; a transaction that is not committed is given up."""
        self._drop()
        self.mark.close()

    # ------------------------------------------------------------ inside

    @property
    def _opened(self) -> Producer:
        if self._producer is None:
            raise StreamError(f"{self.location}: nothing can be written before it is opened.")
        return self._producer

    def _produce(self, producer: Producer, outgoing: Outgoing) -> None:
        headers: list[tuple[str, str | bytes | None]] = [*outgoing.headers]
        for key, value in outgoing.messages:
            while True:
                try:
                    producer.produce(outgoing.topic, value, key, headers=headers)
                except BufferError:
                    producer.poll(PAUSE_SECONDS)
                except KafkaException as error:
                    raise self._given_up(f"write to the topic '{outgoing.topic}' of", error.args[0]) from error
                else:
                    break

    def _flush(self, producer: Producer) -> None:
        """Wait until all is with the brokers; what is not by then fails the transaction."""
        deadline = time.monotonic() + self._reach_seconds
        while (left := producer.flush(SLICE_SECONDS)) and time.monotonic() < deadline:
            pass
        if left:
            self._drop()
            why = self.mark.reason or "no answer"
            raise AbortedError(f"{self.location}: {left:,} messages can't be delivered ({why}).")
        if self._lost:
            topic, error = self._lost[0]
            raise self._given_up(f"write to the topic '{topic}' of", error, is_lost=True)

    def _ended(self, doing: str, step: Callable[[float], Any]) -> None:
        """Take a step of a transaction; again and again while that may help."""
        deadline = time.monotonic() + self._reach_seconds
        while True:
            try:
                _within(step)
            except TimeoutError as error:
                self._producer = None  # its successor shuts it out
                raise AbortedError(f"Can't {doing} {self.location}: no answer. {self.mark.reason}".strip()) from error
            except KafkaException as error:
                found = error.args[0]
                if not found.retriable() or time.monotonic() > deadline:
                    raise self._given_up(doing, found) from error
                time.sleep(PAUSE_SECONDS)
            else:
                self.mark.reason = ""
                return

    def _given_up(self, doing: str, error: KafkaError, *, is_lost: bool = False) -> StreamError:
        """The error to raise, after the producer was let go: what it left open its successor ends."""
        has_failed = is_lost or error.txn_requires_abort() or error.name() in _FAILED
        if has_failed:
            error = self._fenced_by_abort() or error
        self._drop()
        if error.name() in _FENCED:
            self._shut_out = FencedError(
                f"Can't {doing} {self.location}: another writer took over from '{self._own['transactional.id']}', or "
                f"this one stood still for over {int(OURS['transaction.timeout.ms']) // 1_000} s. Nothing of the "
                "transaction is seen. See that one stream of the source runs, and start it again if none does."
            )
            return self._shut_out
        if is_lost:
            return AbortedError(f"Can't {doing} {self.location}: {error.str()}. {self.mark.reason}".strip())
        why = failure(doing, self.location, error, self.mark.reason)
        may_help = has_failed or error.retriable() or passes(error)
        return AbortedError(str(why)) if may_help and not error.fatal() else why

    def _fenced_by_abort(self) -> KafkaError | None:
        """Abort, so that readers need not wait; returns what it says if another writer took over."""
        try:
            _within(self._opened.abort_transaction)
        except TimeoutError:
            self._producer = None
        except KafkaException as error:
            found: KafkaError = error.args[0]
            return found if found.name() in _FENCED else None
        return None

    def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()


def _within(step: Callable[[float], Any]) -> None:
    """Take a step of a producer, and leave it alone if it does not end.

    Raises
    ------
    TimeoutError
        If it does not end.
    KafkaException
        What it raises.
    """
    ended: Future[None] = Future()

    def take() -> None:
        try:
            step(SLICE_SECONDS)
        except (KafkaException, RuntimeError, TypeError, ValueError) as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    threading.Thread(target=take, daemon=True).start()
    ended.result(_STUCK_SECONDS)
