"""The stack without Docker: its command, and private servers that tests end and start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.stack import ports, processes
from data_platform.stack.errors import StackError
from data_platform.stack.kafka import KafkaServer
from data_platform.stack.maven import HOME_VARIABLE
from data_platform.stack.redis import RedisServer
from data_platform.stack.server import Server
from data_platform.stack.topics import create_topic, delete_records, delete_topic

KAFKA = pytest.mark.kafka
REDIS = pytest.mark.redis


@pytest.fixture(scope="module")
def kafka(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(tmp_path_factory.mktemp("broker"), home=kafka_home, heap_mb=128) as server:
        yield server


@pytest.fixture
def redis(redis_server: str, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


def tell(server: RedisServer, command: str) -> str:
    with socket.create_connection((ports.HOST, server.port), 5) as connection:
        connection.sendall(f"{command}\r\n".encode())
        return connection.recv(1000).decode().strip()


def put(kafka: KafkaServer, topic: str, values: list[str]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0


def read(kafka: KafkaServer, topic: str, number: int) -> list[tuple[int | None, bytes | None, bool]]:
    """Offset, value and whether the time is the broker's, of the first records of a topic."""
    from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found = consumer.consume(number, 20)
    consumer.close()
    return [(each.offset(), each.value(), each.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME) for each in found]


class Command:
    """``python -m data_platform.stack`` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = ("--kafka-port", str(ports.free_port(2)), "--redis-port", str(ports.free_port()))

    def __call__(self, *words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "data_platform.stack", *words, "--folder", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def pids(self) -> list[int | None]:
        return [KafkaServer(self.folder / "kafka").pid, RedisServer(self.folder / "redis").pid]


@pytest.fixture
def stack(kafka_home: Path, redis_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.setenv(HOME_VARIABLE, str(kafka_home))
    for server in ("KAFKA", "REDIS"):
        monkeypatch.delenv(f"HEADRACE_STACK_{server}_PORT", raising=False)
    command = Command(tmp_path / "stack")
    yield command
    command("down")


@KAFKA
@REDIS
def test_the_stack_goes_up_and_down_as_often_as_it_is_told(stack: Command) -> None:
    assert stack("status") == (
        1,
        f"Kafka does not run in {stack.folder}/kafka\nRedis does not run in {stack.folder}/redis\n",
    )
    code, told = stack("up", *stack.ports)
    assert code == 0, told
    pids = stack.pids()
    assert None not in pids
    assert f"127.0.0.1:{stack.ports[1]}" in told
    code, told = stack("up")  # without the ports: where they run
    assert (code, stack.pids()) == (0, pids), told
    code, told = stack("status")
    assert (code, told.count(" answers on 127.0.0.1:")) == (0, 2), told
    code, told = stack("up", "--redis-port", str(ports.free_port()))
    assert (code, stack.pids()) == (1, pids)
    assert f"Redis runs in {stack.folder}/redis on port {stack.ports[3]}, and can't be started on" in told
    assert stack("down") == (0, "Redis has ended\nKafka has ended\n")
    assert stack.pids() == [None, None]
    assert stack("down") == (0, "Redis did not run\nKafka did not run\n")


@REDIS
def test_two_that_start_at_once_get_one_server(stack: Command) -> None:
    words = [sys.executable, "-m", "data_platform.stack", "up", "--only", "redis", "--folder", str(stack.folder)]
    both = [subprocess.Popen([*words, *stack.ports], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = {each.communicate(timeout=60)[0] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(told) == 1  # the process's number is in it


@REDIS
def test_a_paused_server_is_not_said_to_answer(stack: Command) -> None:
    assert stack("up", "--only", "redis", *stack.ports)[0] == 0
    server = RedisServer(stack.folder / "redis")
    server.pause()
    code, told = stack("status", "--only", "redis")
    assert (code, "Redis DOES NOT ANSWER" in told) == (1, True)
    server.resume()
    assert stack("status", "--only", "redis")[0] == 0


@REDIS
def test_ports_of_the_environment(stack: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_STACK_REDIS_PORT", stack.ports[3])
    assert f"on 127.0.0.1:{stack.ports[3]} " in stack("up", "--only", "redis")[1]
    monkeypatch.setenv("HEADRACE_STACK_REDIS_PORT", "nine")
    assert stack("up") == (
        1,
        "HEADRACE_STACK_REDIS_PORT: 'nine' is no port: name one between 1 and 65534, or unset it\n",
    )


@REDIS
def test_a_pid_file_of_another_process_is_stale(redis: RedisServer) -> None:
    pid_file = redis.folder / "server.pid"
    redis.kill()
    for text in (f"{os.getpid()}\n{redis.port}\n", "4194999\n6379\n", "torn", ""):
        pid_file.write_text(text)
        assert redis.pid is None
    assert redis.stop() is False
    pid_file.write_text(f"{os.getpid()}\n{redis.port}\n")
    assert redis.start().pid not in {None, os.getpid()}


@REDIS
def test_redis_keeps_its_data_when_it_is_killed(redis: RedisServer) -> None:
    assert tell(redis, "SET a 1") == "+OK"
    redis.kill()
    assert not redis.answers()
    redis.start()
    assert tell(redis, "GET a") == "$1\r\n1"
    pid = redis.pid
    assert pid is not None
    processes.send(pid, signal.SIGKILL)  # by somebody else, who does not wait for its end
    redis.start()
    assert redis.pid not in {None, pid}
    assert tell(redis, "GET a") == "$1\r\n1"


@REDIS
def test_a_taken_port_is_told(redis: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"Redis can't listen on 127.0.0.1:{redis.port}: another program does.*PORT"):
        RedisServer(tmp_path / "other", redis.port).start()
    with pytest.raises(StackError, match=f"Kafka can't listen on .*:{redis.port}.*needs port {redis.port - 1} to"):
        KafkaServer(tmp_path / "kafka", redis.port - 1, home=tmp_path).start()


@REDIS
def test_a_server_that_ends_while_it_starts_says_why(redis_server: str, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, settings={"no-such-setting": "1"})
    with pytest.raises(StackError, match=r"Redis ended while it started[^~]*no-such-setting"):
        server.start()
    assert server.pid is None


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (KafkaServer, "Kafka needs Java 17 or newer.*apt-get install default-jre-headless"),
        (RedisServer, "redis-server is not installed.*apt-get install redis-server"),
    ],
)
def test_a_missing_program_is_told(
    server: type[Server], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(StackError, match=says):
        server(tmp_path).start()


def test_what_does_not_run_can_t_be_paused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=f"Redis does not run in {tmp_path}: start it first"):
        RedisServer(tmp_path).pause()


@KAFKA
def test_a_topic_is_made_once_with_times_of_the_broker(kafka: KafkaServer) -> None:
    assert create_topic(kafka.bootstrap, "once", 2)
    assert not create_topic(kafka.bootstrap, "once", 2)
    with pytest.raises(StackError, match=r"'once' of .* is there with 2 partitions, and was asked for with 3"):
        create_topic(kafka.bootstrap, "once", 3)
    assert create_topic(kafka.bootstrap, "of_producers", append_time=False)
    for topic, of_the_broker in (("once", True), ("of_producers", False)):
        put(kafka, topic, ["a"])
        assert read(kafka, topic, 1) == [(0, b"a", of_the_broker)]
        delete_topic(kafka.bootstrap, topic)
    with pytest.raises(StackError, match="topic 'once' can't be deleted"):
        delete_topic(kafka.bootstrap, "once")


@KAFKA
def test_records_age_out(kafka: KafkaServer) -> None:
    create_topic(kafka.bootstrap, "aging")
    put(kafka, "aging", ["a", "b", "c"])
    delete_records(kafka.bootstrap, "aging", {0: 2})
    assert read(kafka, "aging", 1) == [(2, b"c", True)]


@pytest.mark.thorough
@KAFKA
def test_a_broker_keeps_its_data_when_it_is_killed(kafka: KafkaServer) -> None:
    create_topic(kafka.bootstrap, "kept")
    put(kafka, "kept", ["before"])
    kafka.kill()
    assert (kafka.pid, kafka.answers()) == (None, False)
    kafka.start()
    put(kafka, "kept", ["after"])
    assert [value for _, value, _ in read(kafka, "kept", 2)] == [b"before", b"after"]
    assert kafka.stop()
    assert kafka.start().answers()


@KAFKA
def test_a_paused_broker_stands_still_and_goes_on(kafka: KafkaServer) -> None:
    kafka.pause()
    begun = time.monotonic()
    assert not kafka.answers(0.3)
    assert time.monotonic() - begun < 5
    kafka.resume()
    assert kafka.start().answers(5)


@KAFKA
def test_tests_share_a_broker(kafka_bootstrap: str) -> None:
    create_topic(kafka_bootstrap, "test_stack")
    delete_topic(kafka_bootstrap, "test_stack")
