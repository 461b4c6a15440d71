"""Command line: `python -m data_platform.stack up|down|status` runs Kafka and Redis on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from data_platform.stack.errors import StackError
from data_platform.stack.kafka import KafkaServer
from data_platform.stack.maven import DEFAULT_FOLDER, kafka_home
from data_platform.stack.ports import parse_port, port_of_environment
from data_platform.stack.redis import RedisServer
from data_platform.stack.server import Server

KAFKA_PORT: Final = 19092
REDIS_PORT: Final = 16379


def main(arguments: Sequence[str] | None = None) -> int:
    """Start or stop the servers, or say which run; the exit code is 1 if something is not as it was asked for."""
    try:
        given = _parser().parse_args(arguments)
        return {"up": _up, "down": _down, "status": _status}[given.command](_servers(given))
    except StackError as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data_platform.stack", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="for jars, data and logs (.stack)")
    parser.add_argument("--only", choices=("kafka", "redis"), help="one of the servers")
    kafka, redis = f"HEADRACE_STACK_KAFKA_PORT or {KAFKA_PORT}", f"HEADRACE_STACK_REDIS_PORT or {REDIS_PORT}"
    parser.add_argument("--kafka-port", type=parse_port, help=f"{kafka}; the next one is used too")
    parser.add_argument("--redis-port", type=parse_port, help=redis)
    return parser


def _servers(given: argparse.Namespace) -> list[Server]:
    """The servers that are meant."""
    folder = given.folder.expanduser()
    kafka_port, redis_port = _wanted_ports(given)
    kafka = KafkaServer(folder / "kafka", kafka_port, home=kafka_home(folder))
    redis = RedisServer(folder / "redis", redis_port)
    kafka.port = kafka_port or kafka.running_port or KAFKA_PORT
    redis.port = redis_port or redis.running_port or REDIS_PORT
    return [server for server in (kafka, redis) if given.only in {None, server.name.lower()}]


def _wanted_ports(given: argparse.Namespace) -> tuple[int | None, int | None]:
    """The ports that are named; a server that runs is stopped on whichever it has."""
    if given.command != "up":
        return None, None
    kafka_port = given.kafka_port or port_of_environment("HEADRACE_STACK_KAFKA_PORT")
    return kafka_port, given.redis_port or port_of_environment("HEADRACE_STACK_REDIS_PORT")


def _up(servers: list[Server]) -> int:
    for server in servers:
        server.start()
        print(f"{server.name} answers on {server.address} (process {server.pid}, {server.log})", flush=True)
    return 0


def _down(servers: list[Server]) -> int:
    for server in reversed(servers):
        print(f"{server.name} {'has ended' if server.stop() else 'did not run'}", flush=True)
    return 0


def _status(servers: list[Server]) -> int:
    answering = 0
    for server in servers:
        pid, port = server.pid, server.running_port
        if pid is None or port is None:
            print(f"{server.name} does not run in {server.folder}")
            continue
        server.port = port
        answers = server.answers()
        answering += answers
        print(f"{server.name} {'answers' if answers else 'DOES NOT ANSWER'} on {server.address} (process {pid})")
    return 0 if answering == len(servers) else 1


if __name__ == "__main__":
    sys.exit(main())
