"""One Kafka broker, which is its own controller (KRaft)."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from data_platform.stack import maven, ports
from data_platform.stack.errors import StackError
from data_platform.stack.server import Server

__all__ = ["SETTINGS", "KafkaServer"]

SETTINGS: Final[Mapping[str, str]] = MappingProxyType({
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # a topic of a mistyped name would have times of its producer
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.segment.bytes": "67108864",
    "log.index.size.max.bytes": "1048576",
    "log.initial.task.delay.ms": "1000",
    "log.retention.check.interval.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
    "broker.heartbeat.interval.ms": "250",
    "broker.session.timeout.ms": "1500",  # for so long a broker that was killed is not let in again
})  # fmt: skip

_JVM: Final = (
    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k", "-XX:MaxDirectMemorySize=64m",
    "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true",
)  # fmt: skip
_LOGGING: Final = """\
Configuration:
  Appenders: {Console: {name: out, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}}
  Loggers: {Root: {level: INFO, AppenderRef: {ref: out}}}
"""
_CLUSTER: Final = re.compile(r"^cluster\.id=(.+)$", re.MULTILINE)


class KafkaServer(Server):
    """A Kafka broker on ``port``, with its controller on ``port + 1``.

    Topics are not made by being named: see `data_platform.stack.topics.create_topic`.

    Parameters
    ----------
    folder : Path
        For settings, data, log and pid file; it is made.
    port : int, optional
        The port; without it that of the broker which runs in the folder, or a free one.
    home : Path, optional
        The folder with Kafka's jars; without it see `data_platform.stack.maven.kafka_home`. They are fetched if
        they are not there.
    heap_mb : int
        The largest heap, MiB.
    settings : mapping of str to str, optional
        Settings in Kafka's names, in place of `SETTINGS`.

    Examples
    --------
    >>> def keeps_its_data(folder: Path) -> None:
    ...     with KafkaServer(folder) as kafka:
    ...         kafka.kill()
    ...         kafka.start()
    """

    name = "Kafka"
    ports_needed = 2

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        home: Path | None = None,
        heap_mb: int = 256,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port, settings=settings)
        self.home = (home or maven.kafka_home()).resolve()
        self.heap_mb = heap_mb

    @property
    def bootstrap(self) -> str:
        """What clients are given as ``bootstrap.servers``."""
        return self.address

    @property
    def settings_file(self) -> Path:
        return self.folder / "kafka.properties"

    def answers(self, timeout_seconds: float = 1.0) -> bool:
        """Whether this very broker answers a request for its metadata."""
        from data_platform.stack.topics import cluster_of

        return ports.accepts(self.port, timeout_seconds) and cluster_of(self.bootstrap, timeout_seconds) == self.cluster

    @property
    def cluster(self) -> str:
        """The name that the folder's data gives to the cluster; empty before the first start."""
        try:
            found = _CLUSTER.search((self._data / "meta.properties").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""
        return found[1].strip() if found else ""

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _prepare(self) -> list[str]:
        java = _java()
        maven.fetch(self.home)
        settings = {**SETTINGS, **self._places(), **self.settings}
        self.settings_file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
        self._logging.write_text(_LOGGING, encoding="utf-8")
        if not self.cluster:
            self._format(java)
        return [*self._jvm(java, self.heap_mb), "kafka.Kafka", str(self.settings_file)]

    @property
    def _logging(self) -> Path:
        return self.folder / "log4j2.yaml"

    def _places(self) -> dict[str, str]:
        broker, controller = f"PLAINTEXT://{self.address}", f"{ports.HOST}:{self.port + 1}"
        return {
            "controller.quorum.voters": f"{SETTINGS['node.id']}@{controller}",
            "listeners": f"{broker},CONTROLLER://{controller}",
            "advertised.listeners": broker,
            "log.dirs": str(self._data),
        }

    def _jvm(self, java: str, heap_mb: int) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        return [java, "-Xms64m", f"-Xmx{heap_mb}m", *_JVM, logging, "-cp", f"{maven.jars_of(self.home)}/*"]

    def _format(self, java: str) -> None:
        """Give the data a cluster's name, of which each folder has another."""
        cluster = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")  # begins with no "-"
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.settings_file)]
        done = subprocess.run([*self._jvm(java, 128), *tool], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            told = (done.stdout + done.stderr).strip()[-1000:]
            raise StackError(f"Kafka can't prepare {self._data} (exit code {done.returncode}). It says:\n{told}")


def _java() -> str:
    at_home = Path(os.environ.get("JAVA_HOME", ""), "bin", "java")
    found = str(at_home) if os.environ.get("JAVA_HOME") and at_home.exists() else shutil.which("java")
    if found is None:
        raise StackError(
            "Kafka needs Java 17 or newer, and the program java is not installed. "
            "Install it (Debian: apt-get install default-jre-headless)."
        )
    return found
