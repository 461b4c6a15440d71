"""Which store a setting names, and what is told where it names none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import SettingsError
from headrace.online.lmdb import LmdbStore
from headrace.online.opening import open_store
from headrace.online.redis import RedisStore

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("lmdb:./online", "project/online"),
        ("lmdb:online/", "project/online"),
        ("lmdb:../shared?map_size=1GiB", "shared"),
    ],
)
def test_a_folder_is_relative_to_the_project(url: str, folder: str, tmp_path: Path) -> None:
    store = open_store(url, tmp_path / "project")
    assert isinstance(store, LmdbStore)
    assert store.location == f"lmdb:{tmp_path / folder}"
    assert not (tmp_path / folder).exists()
    store.close()


def test_a_folder_may_be_absolute(tmp_path: Path) -> None:
    store = open_store(f"lmdb:{tmp_path / 'elsewhere'}", tmp_path / "project")
    assert store.location == f"lmdb:{tmp_path / 'elsewhere'}"
    store.close()


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis://host:6380/2", "redis://host:6380 (db 2)"),
        ("redis://host", "redis://host:6379 (db 0)"),
        ("redis://user:pa%3Fss@host:6379/0?prefix=shop:", "redis://host:6379 (db 0)"),
        ("rediss://host:6379/0?ssl_cert_reqs=none&prefix=", "rediss://host:6379 (db 0)"),
        ("unix:///run/redis.sock?db=3", "unix:///run/redis.sock (db 3)"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, location: str, tmp_path: Path) -> None:
    store = open_store(url, tmp_path)
    assert isinstance(store, RedisStore)
    assert store.location == location
    store.close()


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("redis-cluster://one:7000,two", "redis-cluster://one:7000,two:6379"),
        ("rediss-cluster://user:pa%3Fss@one,two:1/0?prefix=shop:", "rediss-cluster://one:6379,two:1"),
        ("dynamodb://shop.features?region=eu-west-1", "dynamodb://shop.features (eu-west-1)"),
        (
            "dynamodb://abc?region=a&endpoint=http://127.0.0.1:8000&timeout=0.5",
            "dynamodb://abc (http://127.0.0.1:8000)",
        ),
        ("dynamodb://abc", "dynamodb://abc"),
    ],
)
def test_a_store_of_many_machines_is_named_and_says_that_it_has_no_one_state(
    url: str, location: str, tmp_path: Path
) -> None:
    store = open_store(url, tmp_path)
    assert store.location == location
    assert not store.reads_one_state
    store.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "cassandra://table",
            r"no store for 'cassandra:'\. Take lmdb:\./online .* redis://host:6379/0.*dynamodb://TABLE",
        ),
        ("./online", r"no store for '\./online'"),
        ("lmdb:", "names no folder"),
        ("lmdb:./online?mapsize=1GiB", "no option 'mapsize'; there is map_size"),
        ("lmdb:./online?map_size=64GB", "map_size='64GB' is no size. Write map_size=64GiB"),
        ("lmdb:./online?map_size=100", "map_size='100' is no size"),
        ("redis://host:port/0", "Redis URL can't be read"),
        ("redis://host:6379/0?no_such_option=1", "Redis URL can't be read .*no_such_option"),
        ("redis-cluster://host:port", "URL of the Redis Cluster can't be read"),
        ("redis-cluster://host:6379/3", "no numbered databases"),
        ("redis-cluster://host?no_such_option=1", "URL of the Redis Cluster can't be read .*no_such_option"),
        ("redis-cluster://host?socket_timeout=soon", "URL of the Redis Cluster can't be read"),
        ("redis-cluster://host?prefix={shop}:", "can't have a brace"),
        ("dynamodb://", "is no name of a table"),
        ("dynamodb://a b c", "is no name of a table"),
        ("dynamodb://key:secret@table", "a name with '@' is no name"),
        ("dynamodb://abc?aws_secret_access_key=x", "no option 'aws_secret_access_key'.*never from here"),
        ("dynamodb://abc?timeout=soon", "timeout='soon' is no time"),
        ("dynamodb://abc?timeout=0", "is no time"),
        ("dynamodb://abc?endpoint=nowhere", "endpoint='nowhere' is no address"),
    ],
)
def test_a_setting_that_names_no_store_is_told(url: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=told) as raised:
        open_store(url, tmp_path)
    assert "secret@" not in str(raised.value)


OPEN_WITHOUT = """
import sys
from pathlib import Path
from headrace.errors import OnlineStoreError
from headrace.online.opening import open_store
sys.modules[sys.argv[1]] = None
try:
    open_store(sys.argv[2], Path())
except OnlineStoreError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("library", "url", "command"),
    [
        ("redis", "redis://host/0", "pip install 'headrace[redis]'"),
        ("redis", "redis-cluster://host", "pip install 'headrace[redis]'"),
        ("boto3", "dynamodb://table", "pip install 'headrace[dynamodb]'"),
        ("lmdb", "lmdb:./online", "pip install lmdb"),
    ],
)
def test_a_library_that_is_missing_is_told(library: str, url: str, command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", OPEN_WITHOUT, library, url], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == f"The online store needs the library {library}, which is not installed: {command}.\n"
