"""Servers that online stores are tested with: a Redis Cluster of three nodes, and DynamoDB Local."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from data_platform.stack import ports
from data_platform.stack.errors import StackError
from data_platform.stack.locking import locked
from data_platform.stack.redis import RedisServer
from data_platform.stack.server import Server

ROOT = Path(__file__).parents[1]
DYNAMODB_VERSION = "3.3.1"
DYNAMODB_HOME = "HEADRACE_DYNAMODB_HOME"
SLOTS = 16_384
STORES = [
    "lmdb",
    pytest.param("redis", marks=pytest.mark.redis),
    pytest.param("cluster", marks=pytest.mark.redis),
    "dynamodb",
]
AWS = {  # DynamoDB Local takes any; nothing of the machine's own settings is to be used
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_POM = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId>
  <artifactId>dynamodb-local</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId>
      <artifactId>DynamoDBLocal</artifactId>
      <version>{DYNAMODB_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


class ClusterNode(RedisServer):
    """A node of a Redis Cluster, in memory alone; it listens to the other nodes on the port behind its own."""

    ports_needed = 2

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings |= {
            "appendonly": "no", "cluster-enabled": "yes", "cluster-port": str(self.port + 1),
            "cluster-node-timeout": "1000", "enable-debug-command": "yes",
        }  # fmt: skip

    def tell(self, *command: str) -> object:
        import redis

        with redis.Redis(port=self.port) as client:
            return client.execute_command(*command)


class RedisCluster:
    """Three nodes, each with a third of the slots, and no replicas. Several processes can start the same one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = [ClusterNode(folder / f"node-{number}") for number in range(3)]

    @property
    def url(self) -> str:
        return f"redis-cluster://{','.join(node.address for node in self.nodes)}"

    def start(self) -> Self:
        with locked(self.folder / "lock"):
            for node in self.nodes:
                node.start()
            if not self.nodes[0].tell("CLUSTER", "SLOTS"):
                self._join()
        self.wait()
        return self

    def wait(self) -> None:
        """Until all nodes say that all slots are covered."""
        _until(self._is_whole, "the Redis Cluster is not whole")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def _join(self) -> None:
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            node.tell("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            begin, end = (SLOTS * each // len(self.nodes) for each in (number, number + 1))
            node.tell("CLUSTER", "ADDSLOTSRANGE", str(begin), str(end - 1))
        for node in self.nodes[1:]:
            node.tell("CLUSTER", "MEET", ports.HOST, str(first.port), str(first.port + 1))

    def _is_whole(self) -> bool:
        import redis

        with suppress(redis.RedisError):
            infos = [str(node.tell("CLUSTER", "INFO")) for node in self.nodes]
            return all("cluster_state:ok" in info and "cluster_known_nodes:3" in info for info in infos)
        return False


class DynamoServer(Server):
    """DynamoDB Local; in memory alone, or with its data in the folder where `keeps` is true."""

    name = "DynamoDB"

    def __init__(self, folder: Path, *, keeps: bool = False) -> None:
        super().__init__(folder)
        self._keeps = keeps

    def url(self, table: str, **options: object) -> str:
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"dynamodb://{table}?region=us-east-1&endpoint=http://{self.address}{more}"

    @property
    def settings_file(self) -> Path:
        return self.folder / "dynamodb.properties"

    def answers(self, timeout_seconds: float = 1.0) -> bool:
        connection = http.client.HTTPConnection(ports.HOST, self.port, timeout=timeout_seconds)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 400  # it wants a signed request
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _prepare(self) -> list[str]:
        lib = dynamodb_home() / "lib"
        where = ["-sharedDb", "-dbPath", str(self.folder)] if self._keeps else ["-inMemory"]
        return [
            shutil.which("java") or "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dheadrace.folder={self.settings_file}", f"-Djava.io.tmpdir={self.folder}",
            f"-Dsqlite4java.library.path={lib}", "-cp", f"{lib}/*",
            "software.amazon.dynamodb.services.local.main.ServerRunner", *where, "-port", str(self.port),
            "-disableTelemetry",
        ]  # fmt: skip


def cluster_url(request: pytest.FixtureRequest) -> str:
    """The URL of the tests' Redis Cluster."""
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    return cluster.url


def dynamodb_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a table that is not there yet, and is deleted in the end."""
    import boto3

    server: DynamoServer = request.getfixturevalue("dynamodb")
    for name, text in AWS.items():
        monkeypatch.setenv(name, text)
    table = f"headrace-test-{uuid.uuid4().hex}"
    yield server.url(table)
    client = boto3.client("dynamodb", region_name="us-east-1", endpoint_url=f"http://{server.address}")
    with suppress(client.exceptions.ResourceNotFoundException):
        client.delete_table(TableName=table)
    client.close()


def dynamodb_home() -> Path:
    """The folder whose ``lib`` has the jars of DynamoDB Local, or will have them."""
    named = os.environ.get(DYNAMODB_HOME, "")
    return Path(named).expanduser().resolve() if named else ROOT / ".stack" / f"dynamodb-local-{DYNAMODB_VERSION}"


def has_dynamodb() -> bool:
    """Whether the jars are there."""
    return any(dynamodb_home().glob("lib/DynamoDBLocal-*.jar"))


def fetch_dynamodb() -> None:
    """Fetch the jars with Maven, unless they are there; several processes may do it at once.

    Raises
    ------
    StackError
        If Maven is missing or fails.
    """
    home = dynamodb_home()
    with locked(home.with_name(f"{home.name}.lock")):
        if has_dynamodb():
            return
        partial = home.with_name(f"{home.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        (partial / "pom.xml").write_text(_POM)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial / 'lib'}"]
        command = [shutil.which("mvn") or "mvn", "-B", "-q", "-f", str(partial / "pom.xml"), *goal]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        except FileNotFoundError as error:
            raise StackError("DynamoDB Local's jars are fetched by Maven, which is not installed.") from error
        if done.returncode:
            raise StackError(
                f"Maven can't fetch DynamoDB Local {DYNAMODB_VERSION}: {(done.stdout + done.stderr)[-900:]}"
            )
        shutil.rmtree(home, ignore_errors=True)
        partial.rename(home)


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            raise StackError(otherwise)
        time.sleep(0.05)


if __name__ == "__main__":  # python -m tests.store_servers fetches the jars
    try:
        fetch_dynamodb()
    except StackError as problem:
        sys.exit(str(problem))
