"""A registry in a SQLite file: what stands in its way is said, with what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest

from headrace.errors import RegistryError
from headrace.registry.base import Entry, Lease
from headrace.registry.sql import SqlRegistry

DRIVER = Entry("entity", "driver", "aa", "{}")
GPS = Entry("source", "gps", "bb", "{}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def registry(file: Path) -> Iterator[SqlRegistry]:
    made = SqlRegistry(f"sqlite:///{file}", busy_seconds=0.1)
    yield made
    made.close()


def test_reading_makes_no_file(registry: SqlRegistry, file: Path) -> None:
    assert registry.current() is None
    assert registry.history("entity", "driver") == ()
    assert registry.definition("aa") is None
    assert not file.exists()


def test_an_empty_file_is_an_empty_registry(registry: SqlRegistry, file: Path) -> None:
    file.touch()
    assert registry.current() is None
    assert registry.apply([DRIVER], at=1).number == 1


def test_readers_go_on_while_another_process_writes(registry: SqlRegistry, file: Path) -> None:
    before = registry.apply([DRIVER], at=1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM headrace_current")
        assert registry.current() == before


def test_many_that_write_a_new_file_at_once_wait_for_each_other(tmp_path: Path) -> None:
    def take(registry: SqlRegistry, ready: Barrier, number: int) -> Lease:
        ready.wait()
        return registry.take_lease("publish-driver_now", f"holder {number}", at=1, until=2)

    for attempt in range(20):  # one in five went wrong
        ready = Barrier(6)
        with closing(SqlRegistry(f"sqlite:///{tmp_path / str(attempt)}.db")) as registry, ThreadPoolExecutor(6) as pool:
            found = list(pool.map(partial(take, registry, ready), range(6)))
        assert len(set(found)) == 1


def test_a_locked_file_is_waited_for_and_then_named(registry: SqlRegistry, file: Path) -> None:
    registry.apply([DRIVER], at=1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError, match=r"registry.db.*another process has been writing for 0.1 s. Try again"):
            registry.apply([GPS], at=2)
    assert registry.apply([GPS], at=2).number == 2


@pytest.mark.parametrize(
    "text", [b"not a database, whatever its name says" * 40, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_damaged_file_is_named(registry: SqlRegistry, file: Path, text: bytes) -> None:
    file.write_bytes(text)
    for attempt in (registry.current, lambda: registry.apply([DRIVER], at=1)):
        with pytest.raises(RegistryError, match=r"registry.db.*Restore it from a copy"):
            attempt()
    assert file.read_bytes() == text


def test_a_damaged_page_is_named(registry: SqlRegistry, file: Path) -> None:
    registry.apply([DRIVER, GPS], at=1)
    registry.close()
    content = bytearray(file.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    file.write_bytes(content)
    with pytest.raises(RegistryError, match=r"registry.db.*damaged. Restore it from a copy"):
        registry.current()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    registry = SqlRegistry(f"sqlite:///{tmp_path / 'missing' / 'registry.db'}")
    with pytest.raises(RegistryError, match=r"missing/registry.db.*Check that the folder .*missing exists"):
        registry.apply([DRIVER], at=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_named(registry: SqlRegistry, file: Path) -> None:
    registry.apply([DRIVER], at=1)
    registry.close()
    file.chmod(0o400)
    with pytest.raises(RegistryError, match=r"can't be written. Check its permissions"):
        registry.apply([GPS], at=2)


def test_a_folder_in_the_place_of_the_file_is_named(registry: SqlRegistry, file: Path) -> None:
    file.mkdir()
    with pytest.raises(RegistryError, match=r"registry.db.*the file can't be opened"):
        registry.current()


def test_a_full_disk_leaves_what_was(registry: SqlRegistry, file: Path) -> None:
    before = registry.apply([DRIVER], at=1)
    large = Entry("source", "gps", "bb", '"' + "x" * 1_000_000 + '"')
    with registry._database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 30")
    with pytest.raises(RegistryError, match=r"the disk is full. Make room and try again: nothing was changed"):
        registry.apply([DRIVER, large], at=2)
    assert registry.current() == before


def test_a_registry_of_a_newer_headrace_is_refused(registry: SqlRegistry, file: Path) -> None:
    registry.apply([DRIVER], at=1)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("UPDATE headrace_registry SET value = '99'")
    for attempt in (registry.current, lambda: registry.apply([GPS], at=2)):
        with pytest.raises(RegistryError, match=r"written by a newer headrace \(its tables have version 99.*Upgrade"):
            attempt()


def test_an_interrupted_writer_leaves_what_was(registry: SqlRegistry, file: Path) -> None:
    before = registry.apply([DRIVER], at=1)
    other = SqlRegistry(f"sqlite:///{file}")
    half_done = other._database.writing()
    half_done.__enter__().exec_driver_sql("DELETE FROM headrace_current")
    assert not half_done.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    other.close()
    assert registry.current() == before


def test_one_name_twice_is_refused(registry: SqlRegistry) -> None:
    with pytest.raises(RegistryError, match="stands twice"):
        registry.apply([DRIVER, DRIVER], at=1)
    assert registry.current() is None


@pytest.mark.parametrize("url", ["registry.db", "mysql://localhost/x", "nothing://x"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(RegistryError, match="sqlite:///"):
        SqlRegistry(url)


def test_a_password_is_never_shown() -> None:
    pytest.importorskip("psycopg")
    registry = SqlRegistry("postgresql://ada:secret@127.0.0.1:1/none", busy_seconds=0.1)
    assert "secret" not in registry.location
    with pytest.raises(RegistryError, match=r"127.0.0.1") as caught:
        registry.current()
    assert "secret" not in str(caught.value)
