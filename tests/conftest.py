"""Fixtures and Hypothesis profiles that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import pytest
from hypothesis import settings

from data_platform.stack.kafka import KafkaServer
from data_platform.stack.maven import DEFAULT_FOLDER, HOME_VARIABLE, has_jars
from data_platform.stack.maven import kafka_home as kafka_jars
from tests.store_servers import DYNAMODB_HOME, DynamoServer, RedisCluster, fetch_dynamodb, has_dynamodb

ROOT = Path(__file__).parents[1]

# "quick" and "ci" are the same on each run; "explore" looks for new examples; "bench" is the long check of the oracles.
settings.register_profile("quick", max_examples=10, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("ci", max_examples=30, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("bench", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HEADRACE_HYPOTHESIS_PROFILE", "quick"))


collect_ignore = ["integration/feast_client_child.py", "integration/feast_repository_child.py"]
"""Programs for Feast's own environment: nothing of theirs can be imported here."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to ``.ci/run``."""
    if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1":
        return
    for item in items:
        if item.get_closest_marker("thorough"):
            item.add_marker(
                pytest.mark.skip(reason="takes long: it runs in .ci/run, or with HEADRACE_REQUIRE_SERVICES=1")
            )


def _unavailable(what: str, variable: str) -> None:
    """Skip the test, or fail it where services are promised."""
    if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} is required here (HEADRACE_REQUIRE_SERVICES=1); {variable} does not name one")
    pytest.skip(f"needs {what}: set {variable}")


def _url_of(what: str, variable: str) -> str:
    """The URL of a server that the environment names."""
    url = os.environ.get(variable, "")
    if not url:
        _unavailable(what, variable)
    return url


class _Startable(Protocol):
    """What several processes can start, of which the last one stops it."""

    @property
    def folder(self) -> Path: ...

    def start(self) -> object: ...

    def stop(self) -> object: ...


_Server = TypeVar("_Server", bound=_Startable)


def _shared_folder(folders: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run share: theirs are below the same one."""
    folder = folders.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@contextmanager
def _shared(server: _Server) -> Iterator[_Server]:
    """Start a server unless another worker has, and stop it unless another worker uses it yet."""
    import fcntl  # not on Windows

    server.folder.mkdir(exist_ok=True)
    with (server.folder / "users").open("w") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        server.start()
        yield server
        fcntl.flock(users, fcntl.LOCK_UN)
        with suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server.stop()


@pytest.fixture(scope="session")
def project_root() -> Path:
    """Return the root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Return the SQLAlchemy URL of a PostgreSQL server whose databases the tests may create and drop."""
    return _url_of("a PostgreSQL server", "HEADRACE_TEST_POSTGRES_URL")


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the URL of a Redis server in which the tests may write, below a prefix of their own."""
    return _url_of("a Redis server", "HEADRACE_TEST_REDIS_URL")


@pytest.fixture(scope="session")
def redis_server() -> str:
    """Return the program of a Redis server, for tests that end and start one of their own."""
    program = shutil.which("redis-server")
    if not program:
        _unavailable("the program redis-server", "PATH")
    return str(program)


@pytest.fixture(scope="session")
def redis_cluster(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Return a Redis Cluster of three nodes in which tests may write, below a prefix of their own."""
    with _shared(RedisCluster(_shared_folder(tmp_path_factory) / "redis-cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def dynamodb_programs() -> None:
    """See to it that DynamoDB Local can be started."""
    if not shutil.which("java"):
        _unavailable("the program java", "PATH")
    if not has_dynamodb() and os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1":
        fetch_dynamodb()
    if not has_dynamodb():
        _unavailable("DynamoDB Local's jars (python -m tests.store_servers fetches them)", DYNAMODB_HOME)


@pytest.fixture(scope="session")
def dynamodb(dynamodb_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoServer]:
    """Return a DynamoDB Local in which tests may make tables; see `tests.store_servers.AWS`."""
    with _shared(DynamoServer(_shared_folder(tmp_path_factory) / "dynamodb")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """Return the folder with Kafka's jars, for tests that end and start a broker of their own."""
    home = kafka_jars(ROOT / DEFAULT_FOLDER)
    if not has_jars(home):
        _unavailable("Kafka's jars (make stack-up fetches them)", HOME_VARIABLE)
    if not shutil.which("java"):
        _unavailable("the program java", "PATH")
    return home


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a Kafka broker in which the tests may make topics, with names of their own."""
    named = os.environ.get("HEADRACE_TEST_KAFKA", "")
    if named:
        yield named
        return
    if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1":
        _unavailable("a Kafka broker", "HEADRACE_TEST_KAFKA")
    folder = _shared_folder(tmp_path_factory)
    with _shared(KafkaServer(folder / "kafka", home=request.getfixturevalue("kafka_home"))) as kafka:
        yield kafka.bootstrap


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the directory of the public data sets, which are not part of the project."""
    directory = Path(os.environ.get("HEADRACE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not directory.is_dir():
        pytest.skip(f"the public data sets are not at {directory}; HEADRACE_SHARED_DATA names another place")
    return directory
