"""The options of librdkafka that a project has reach Kafka, from each client."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_platform.stack.topics import create_topic
from headrace.errors import SettingsError
from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from tests.streaming import project

pytestmark = pytest.mark.kafka
ONCE = Pace(0.0, until_idle=True)
CLIENT = "clerk-of-the-harbour"


class Listener:
    """Passes on what clients say to a broker; they go on with the address that it tells them itself."""

    def __init__(self, broker: str) -> None:
        self.heard: list[bytes] = []
        """What was said first on each connection: the client's name is in it."""
        host, _, port = broker.rpartition(":")
        self._broker = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            threading.Thread(target=self._pass, args=(client, broker, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(broker, client, False), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, listens: bool) -> None:
        with one:
            try:
                while said := one.recv(65_536):
                    if listens:
                        self.heard.append(said)
                        listens = False
                    other.sendall(said)
                other.shutdown(socket.SHUT_WR)
            except OSError:
                return


@pytest.fixture
def listener(kafka_bootstrap: str) -> Iterator[Listener]:
    """Return a broker that is listened to."""
    listener = Listener(kafka_bootstrap.split(",", maxsplit=1)[0])
    yield listener
    listener.close()


def opened(tmp_path: Path, kafka: str, bootstrap: str, sinks: str = "online") -> Platform:
    topic = f"gps-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, 1)
    return project(tmp_path, stream=f'hr.Kafka("{topic}")', kafka=kafka, arrival=False, sinks=sinks)


def test_options_reach_the_brokers(
    tmp_path: Path, kafka_bootstrap: str, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_KAFKA_OPTIONS", f"client.id={CLIENT}")
    sinks = f"online, kafka:{uuid.uuid4().hex[:8]}."
    platform = opened(tmp_path, listener.address, kafka_bootstrap, sinks)
    platform.follow("gps", until_idle=True)
    followed = len(listener.heard)
    platform.stream("gps", ONCE)
    assert followed >= 1
    assert len(listener.heard) >= followed + 4  # a reader, a writer, and who asks for and makes topics and marks
    assert [CLIENT.encode() in said for said in listener.heard] == [True] * len(listener.heard)


def test_an_option_that_is_wrong_is_named(
    tmp_path: Path, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = opened(tmp_path, kafka_bootstrap, kafka_bootstrap)
    for options, named in (
        ("sasl.password=hunter2;fetch.min.byte=1", r'"fetch\.min\.byte".*HEADRACE_KAFKA_OPTIONS'),
        ("sasl.password=hunter2;security.protocol=hunter2", r"kafka: .*security\.protocol"),
        ("sasl.password=hunter2;enable.auto.commit=true", r"enable\.auto\.commit is headrace's own"),
    ):
        monkeypatch.setenv("HEADRACE_KAFKA_OPTIONS", options)
        for run in (
            lambda: Platform.open(platform.context.root).stream("gps", ONCE),
            lambda: Platform.open(platform.context.root).follow("gps", until_idle=True),
        ):
            with pytest.raises(SettingsError, match=named) as caught:
                run()
            assert "hunter2" not in str(caught.value)
            assert "hunter2" not in repr(Platform.open(platform.context.root).context.settings)
