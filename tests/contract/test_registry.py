"""What every registry does: run over each implementation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from headrace.registry.base import Entry
from headrace.registry.sql import SqlRegistry

DRIVER = Entry("entity", "driver", "aa", '{"keys": {"driver_id": "Int64"}}')
GPS = Entry("source", "gps", "bb", '{"event_time": "ts"}')
GPS_OWNED = Entry("source", "gps", "bb", '{"event_time": "ts", "owner": "dispatch"}')
GPS_LATER = Entry("source", "gps", "cc", '{"event_time": "sent_at"}')


def test_before_the_first_apply_there_is_nothing(registry: SqlRegistry) -> None:
    assert registry.current() is None
    assert registry.history("entity", "driver") == ()
    assert registry.definition("aa") is None


def test_what_was_applied_is_in_force_for_others_too(
    registry: SqlRegistry, open_registry: Callable[..., SqlRegistry]
) -> None:
    applied = registry.apply([GPS, DRIVER], at=1_000_001, by="ada")
    assert [version.entry for version in applied.versions] == [DRIVER, GPS]
    assert (applied.number, applied.at, applied.by) == (1, 1_000_001, "ada")
    assert open_registry().current() == applied


def test_applying_the_same_again_changes_nothing(registry: SqlRegistry) -> None:
    first = registry.apply([DRIVER, GPS], at=1)
    reordered = Entry("entity", "driver", "aa", '{ "keys" : {"driver_id": "Int64"} }')
    assert registry.apply([GPS, reordered], at=2) == first
    assert len(registry.history("entity", "driver")) == 1


def test_a_change_is_a_new_version_and_the_old_one_stays(registry: SqlRegistry) -> None:
    registry.apply([DRIVER, GPS], at=1, by="ada")
    applied = registry.apply([DRIVER, GPS_LATER], at=2, by="bob")
    history = registry.history("source", "gps")
    assert [(version.number, version.entry, version.applied_at, version.applied_by) for version in history] == [
        (1, GPS, 1, "ada"),
        (2, GPS_LATER, 2, "bob"),
    ]
    assert applied.version("source", "gps") == history[1]
    assert applied.version("entity", "driver").number == 1  # type: ignore[union-attr]


def test_a_change_that_keeps_the_fingerprint_is_recorded(registry: SqlRegistry) -> None:
    registry.apply([GPS], at=1)
    registry.apply([GPS_OWNED], at=2)
    assert [version.entry for version in registry.history("source", "gps")] == [GPS, GPS_OWNED]
    assert registry.definition("bb").entry == GPS_OWNED  # type: ignore[union-attr]


def test_what_is_left_out_is_in_force_no_longer_and_can_come_back(registry: SqlRegistry) -> None:
    registry.apply([DRIVER, GPS], at=1)
    assert registry.apply([DRIVER], at=2).version("source", "gps") is None
    assert len(registry.history("source", "gps")) == 1
    back = registry.apply([DRIVER, GPS], at=3)
    assert back.version("source", "gps").number == 1  # type: ignore[union-attr]
    assert back.number == 3


def test_everything_can_be_removed(registry: SqlRegistry) -> None:
    registry.apply([DRIVER], at=1)
    assert registry.apply([], at=2).versions == ()


def test_a_failed_apply_leaves_what_was(registry: SqlRegistry) -> None:
    before = registry.apply([DRIVER], at=1)
    broken = Entry("source", "gps", "bb", None)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="body"):
        registry.apply([broken], at=2)
    assert registry.current() == before


APPLY = """
import sys
from headrace.registry.base import Entry
from headrace.registry.sql import SqlRegistry
registry = SqlRegistry(sys.argv[1], busy_seconds=20)
sys.stdin.readline()
for turn in range(int(sys.argv[3])):
    registry.apply([Entry("source", "gps", f"{sys.argv[2]}{turn}", "{}")], at=turn, by=sys.argv[2])
"""


def test_two_processes_that_apply_at_once_are_one_after_the_other(registry_url: str, registry: SqlRegistry) -> None:
    turns = 8
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", APPLY, registry_url, name, str(turns)], stdin=subprocess.PIPE, env=environment
        )
        for name in ("a", "b")
    ]
    for worker in workers:
        worker.stdin.write(b"go\n")  # type: ignore[union-attr]
        worker.stdin.close()  # type: ignore[union-attr]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    history = registry.history("source", "gps")
    assert [version.number for version in history] == list(range(1, 2 * turns + 1))
    for name in ("a", "b"):
        assert [v.applied_at for v in history if v.applied_by == name] == list(range(turns))
    applied = registry.current()
    assert applied is not None
    assert applied.number == 2 * turns
    assert applied.versions == history[-1:]
