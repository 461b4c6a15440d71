"""Kafka and Redis: started for the live demo and ended after it, or those that run already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from data_platform.live.arriving import GPS_TOPIC, RIDES_TOPIC
from data_platform.stack.errors import StackError
from data_platform.stack.kafka import KafkaServer
from data_platform.stack.redis import RedisServer
from data_platform.stack.server import Server
from data_platform.stack.topics import create_topic, delete_topic
from headrace.online.opening import open_store

PARTITIONS: Final = {GPS_TOPIC: 4, RIDES_TOPIC: 2}


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they are.

    Parameters
    ----------
    kafka : str
        The broker's address.
    online : str
        The setting ``online``.
    pids : list of int
        The processes that were started.
    """

    kafka: str
    online: str
    pids: list[int]


@contextmanager
def serving(folder: Path, kafka: str = "", redis: str = "") -> Iterator[Servers]:
    """Have both servers with the topics while the block runs.

    Parameters
    ----------
    folder : Path
        For the data of those that are started.
    kafka, redis : str
        The address of a broker and the URL of a Redis server that run already. There the topics are deleted
        afterwards, and what was written online.

    Raises
    ------
    StackError
        If a server can't be started, or a topic is there already.
    """
    with ExitStack() as undo:
        started: list[Server] = []
        is_own_broker = not kafka
        if not kafka:
            own = KafkaServer(folder / "kafka")
            kafka = own.bootstrap
            started.append(own)
        if redis:
            online = f"{redis}{'&' if '?' in redis else '?'}prefix=headrace-live-{time.time_ns()}:"
            undo.callback(_forget, online, folder)
        else:
            store = RedisServer(folder / "redis")
            online = store.url
            started.append(store)
        for server in started:
            undo.callback(server.stop)  # first: the start may be interrupted
            server.start()
        for topic, partitions in PARTITIONS.items():
            if not create_topic(kafka, topic, partitions):
                raise StackError(f"{kafka}: the topic '{topic}' is there already. Use a broker without it.")
            if not is_own_broker:
                undo.callback(partial(delete_topic, kafka, topic))
        yield Servers(kafka, online, [server.pid for server in started if server.pid is not None])


def _forget(online: str, folder: Path) -> None:
    """Delete what is below the prefix."""
    with closing(open_store(online, folder)) as store:
        store.delete_many([key for key, _ in store.scan(b"")])
