"""Sending commands to the nodes of a Redis Cluster: all that is for one node in one go, all nodes at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

import redis
from redis import exceptions
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url

from headrace.errors import SettingsError
from headrace.online.redis_script import digest

_CONNECT_SECONDS: Final = 2.0
_ANSWER_SECONDS: Final = 10.0
_PAUSES_SECONDS: Final = (0.05, 0.4)
"""How long to wait before commands are sent again whose node was lost; then it is told."""
_REDIRECTED: Final = (exceptions.MovedError, exceptions.AskError, exceptions.TryAgainError)
_MOVING: Final = (exceptions.AskError, exceptions.TryAgainError, exceptions.ClusterError)
_LOST: Final = (exceptions.ConnectionError, exceptions.ClusterDownError, exceptions.SlotNotCoveredError)
_HOPELESS: Final = (exceptions.AuthenticationError, exceptions.MaxConnectionsError)


class Command(NamedTuple):
    """A command for the node that has a slot.

    Parameters
    ----------
    tag : bytes
        Its keys' text between braces.
    name : str
        What to do: ``MGET``, ``UNLINK`` or ``EVALSHA``.
    keys : list of bytes
        With what.
    values : list of bytes, optional
        A script's value for each key.
    script : str, optional
        A script's name.
    """

    tag: bytes
    name: str
    keys: list[bytes]
    values: list[bytes] = []  # noqa: RUF012 - nobody changes it
    script: str = ""

    def parts(self) -> tuple[Any, ...]:
        """As the node is told."""
        named = (self.script, len(self.keys)) if self.script else ()
        return (self.name, *named, *self.keys, *self.values)

    def one_by_one(self) -> list[Command]:
        """The same for each key by itself."""
        return [self._replace(keys=self.keys[i : i + 1], values=self.values[i : i + 1]) for i in range(len(self.keys))]

    def joined(self, answers: list[Any]) -> Any:
        """Their answers as the one of this command."""
        return [value for answer in answers for value in answer] if self.name == "MGET" else sum(answers)


class Nodes:
    """The nodes of a cluster. Nothing is connected before the first use; several threads can use it.

    Parameters
    ----------
    url : str
        As `RedisClusterStore` takes it.
    prefix : str
        What keys begin with, which must not decide their slot.

    Raises
    ------
    SettingsError
        If the URL or the prefix can't be used.
    """

    def __init__(self, url: str, prefix: str) -> None:
        if "{" in prefix:
            raise SettingsError("online: a cluster's prefix can't have a brace: '{' decides on which node a key is.")
        self._hosts, self._options, self.location = _parsed(url)
        self._client: RedisCluster | None = None
        self._lock = Lock()

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to some commands, among them the errors that nodes gave as answers.

        What is sent twice writes the same again: after a lost connection everything may be repeated.

        Raises
        ------
        RedisError, RedisClusterException
            If a node can't be reached, nor one that took its place.
        """
        answers: list[Any] = [None] * len(commands)
        pending = list(range(len(commands)))
        for pause_seconds in (*_PAUSES_SECONDS, None):
            client = self._connected()
            self._send(client, commands, pending, answers)
            for place in pending:
                if isinstance(answers[place], _REDIRECTED):
                    answers[place] = _redirected(client, commands[place], answers[place])
            pending = [place for place in pending if _is_lost(answers[place])]
            if not pending or pause_seconds is None:
                return answers
            time.sleep(pause_seconds)
            client.nodes_manager.initialize()
        raise AssertionError("the last round returns")

    def run_script(self, script: str, commands: Sequence[Command]) -> list[Any]:
        """As `run`, by a script that is loaded where it is missing."""
        named = [command._replace(script=digest(script)) for command in commands]
        answers = self.run(named)
        missing = [place for place, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
        if missing:  # a node is new, or has started anew
            for node in self.primaries():
                node.script_load(script)
            for place, answer in zip(missing, self.run([named[place] for place in missing]), strict=True):
                answers[place] = answer
        return answers

    def primaries(self) -> list[redis.Redis]:
        """The nodes that have slots."""
        client = self._connected()
        return [client.get_redis_connection(node) for node in client.get_primaries()]  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> RedisCluster:
        with self._lock:
            if self._client is None:
                nodes = [ClusterNode(host, port) for host, port in self._hosts]  # type: ignore[no-untyped-call]
                self._client = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **self._options)
            return self._client

    def _send(self, client: RedisCluster, commands: Sequence[Command], places: list[int], answers: list[Any]) -> None:
        """Send all commands to all nodes before an answer is waited for."""
        by_node: dict[ClusterNode, list[int]] = {}
        for place in places:
            try:
                node = client.get_node_from_key(commands[place].tag)  # type: ignore[no-untyped-call]
                by_node.setdefault(node, []).append(place)
            except exceptions.SlotNotCoveredError as error:
                answers[place] = error
        sent: list[tuple[Any, Any, list[int]]] = []
        try:
            for node, own in by_node.items():
                pool = client.get_redis_connection(node).connection_pool
                try:
                    connection = pool.get_connection()
                except exceptions.RedisError as error:
                    _set(answers, own, error)
                    continue
                sent.append((pool, connection, own))
                _write(connection, [commands[place].parts() for place in own], own, answers)
            for _, connection, own in sent:
                _read(connection, own, answers)
        finally:
            for pool, connection, own in sent:
                if any(answers[place] is _UNREAD for place in own):  # answers to this must not be taken for others
                    connection.disconnect()
                pool.release(connection)


class _Unread:
    """Stands for an answer that is under way."""


_UNREAD: Final = _Unread()


def _write(connection: Any, parts: list[tuple[Any, ...]], places: list[int], answers: list[Any]) -> None:
    _set(answers, places, _UNREAD)
    try:
        connection.send_packed_command(connection.pack_commands(parts))
    except exceptions.RedisError as error:
        connection.disconnect()
        _set(answers, places, error)


def _read(connection: Any, places: list[int], answers: list[Any]) -> None:
    for number, place in enumerate(places):
        if answers[place] is not _UNREAD:
            return
        try:
            answers[place] = connection.read_response()
        except exceptions.ResponseError as error:
            answers[place] = error
        except exceptions.RedisError as error:  # nothing more comes
            connection.disconnect()
            _set(answers, places[number:], error)


def _set(answers: list[Any], places: list[int], answer: object) -> None:
    for place in places:
        answers[place] = answer


def _redirected(client: RedisCluster, command: Command, error: Exception) -> Any:
    """The answer of the node that has a command's slot now.

    While a slot is moving, some of its keys are here and some are there: then each is asked for by itself.
    """
    try:
        if isinstance(error, exceptions.MovedError):
            return client.execute_command(*command.parts())  # type: ignore[no-untyped-call]
    except _MOVING:
        pass
    except exceptions.RedisError as told:
        return told
    try:
        return command.joined([client.execute_command(*one.parts()) for one in command.one_by_one()])  # type: ignore[no-untyped-call]
    except exceptions.RedisError as told:
        return told


def _is_lost(answer: object) -> bool:
    return isinstance(answer, _LOST) and not isinstance(answer, _HOPELESS)


def _parsed(url: str) -> tuple[list[tuple[str, int]], dict[str, Any], str]:
    """The nodes of a URL, how to connect to them, and the place for people, without a password."""
    scheme, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    user, at, named = place.rpartition("@")
    one_scheme = scheme.removesuffix("-cluster")
    options: dict[str, Any] = {"socket_connect_timeout": _CONNECT_SECONDS, "socket_timeout": _ANSWER_SECONDS}
    hosts = []
    try:
        for host in named.rstrip("/").removesuffix("/0").split(","):
            one = f"{one_scheme}://{user}{at}{host}?{query}"
            redis.ConnectionPool.from_url(one).make_connection()  # which takes the options or raises
            found: dict[str, Any] = dict(parse_url(one))  # type: ignore[no-untyped-call]
            if found.pop("db", 0) or "/" in host:
                raise ValueError(f"'{host}': a cluster has no numbered databases")  # noqa: TRY301
            hosts.append((str(found.pop("host", "localhost")), int(found.pop("port", 6379))))
            found.pop("connection_class", None)
            options |= found
    except (ValueError, TypeError) as error:
        raise SettingsError(
            f"online: the URL of the Redis Cluster can't be read ({error}). Write redis-cluster://host:6379,host:6379, "
            "or rediss-cluster://… (with TLS)."
        ) from None
    if one_scheme == "rediss":
        options["ssl"] = True
    return hosts, options, f"{scheme}://{','.join(f'{host}:{port}' for host, port in hosts)}"
