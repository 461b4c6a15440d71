"""Deleting the files that nobody needs, in each lake."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from headrace.errors import LakeError
from headrace.lake import vacuum
from headrace.lake.base import DataFile, Lake, StagedFile, Table
from tests.contract.lakes import DAY_1, DAY_2, OPENERS, commit, ids, rows

LONG_AGO_US, RECENT_US = 1_700_000_000_000_000, 1_700_000_100_000_000


@pytest.fixture(params=list(OPENERS))
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return OPENERS[request.param](tmp_path / "lake")


@pytest.fixture
def table(lake: Lake) -> Table:
    return lake.table("gold", "driver_now")


def on_disk(table: Table) -> set[str]:
    return {path.relative_to(table.location).as_posix() for path in Path(table.location).glob("*/part-*")}


def replaced(table: Table, versions: int, day: dict[str, str] = DAY_1) -> list[DataFile]:
    """The one file of each version; a version replaces the one before."""
    for number in range(versions):
        commit(table, number, day=day, mode="replace", replace_partitions=[day])
    return [file for version in range(versions) for file in table.files(version)]


def aged(table: Table, file: DataFile | StagedFile, at_us: int) -> str:
    os.utime(Path(table.location, file.path), (at_us / 1e6, at_us / 1e6))
    return file.path


def test_what_no_kept_version_refers_to_is_deleted(table: Table) -> None:
    files = replaced(table, 5)
    report = table.vacuum([1, 3], newer_than_us=None)
    assert set(report.deleted) == {files[0].path, files[2].path}
    assert report.size_bytes == files[0].size_bytes + files[2].size_bytes
    assert (report.files, report.kept_files, report.spared_files) == (2, 3, 0)
    assert [table.missing_files(version) == [] for version in range(5)] == [False, True, False, True, True]
    assert [ids(table, version) for version in (1, 3, 4)] == [[1], [3], [4]]
    assert table.vacuum([1, 3], newer_than_us=None).files == 0


def test_the_newest_version_is_kept_without_being_named(table: Table) -> None:
    files = replaced(table, 3)
    table.vacuum([], newer_than_us=None)
    assert on_disk(table) == {files[2].path}
    assert ids(table) == [2]


def test_a_dry_run_tells_and_deletes_nothing(table: Table) -> None:
    files = replaced(table, 3)
    told = table.vacuum([], newer_than_us=None, dry_run=True)
    assert on_disk(table) == {file.path for file in files}
    assert told == table.vacuum([], newer_than_us=None)


def test_young_and_named_files_are_spared(table: Table) -> None:
    replaced(table, 1)
    old, young, named = (table.stage(rows(number), DAY_1) for number in range(3))
    for file, at_us in ((old, LONG_AGO_US), (young, RECENT_US), (named, LONG_AGO_US)):
        aged(table, file, at_us)
    report = table.vacuum([], newer_than_us=RECENT_US, spare={named.path})
    assert report.deleted == (old.path,)
    assert report.spared_files == 2
    commit_staged(table, young, named)
    assert ids(table) == [0, 1, 2]


def commit_staged(table: Table, *staged: StagedFile) -> None:
    table.commit(staged, schema=table.schema(), mode="append", partition_by=["day"], metadata={})


def test_a_file_that_was_just_staged_is_newer_than_a_moment_before(table: Table) -> None:
    """A file's time comes from the system's tick, which is behind the clock."""
    replaced(table, 1)
    for _ in range(50):
        begun_us = time.time_ns() // 1_000
        staged = table.stage(rows(1), DAY_1)
        assert table.vacuum([], newer_than_us=begun_us).files == 0
        table.discard([staged])


def test_an_adopted_file_is_as_young_as_its_adoption(lake: Lake, table: Table) -> None:
    other = lake.table("rebuild", "gps")
    commit(other, 1)
    commit(table, 2)
    aged(other, other.files()[0], LONG_AGO_US)
    table.adopt(other)
    assert table.vacuum([], newer_than_us=RECENT_US).files == 0
    assert table.vacuum([], newer_than_us=None).files == 1
    assert ids(other) == [1]


def test_only_files_like_ours_are_deleted(table: Table) -> None:
    replaced(table, 1)
    root = Path(table.location)
    kept = [root / "notes.txt", root / "day=2026-01-01" / "part.csv", root / "other" / "part-1.parquet"]
    left = [root / "day=2026-01-01" / ".part-1.part", root / "part-2.parquet", root / "a=1" / "b=2" / "part-3.parquet"]
    for path in (*kept, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1234")
    report = table.vacuum([], newer_than_us=None)
    assert set(report.deleted) == {path.relative_to(root).as_posix() for path in left}
    assert report.size_bytes == 12
    assert all(path.exists() for path in kept)
    assert not (root / "a=1").exists()
    assert ids(table) == [0]


def test_folders_of_partitions_that_are_empty_are_removed(table: Table) -> None:
    replaced(table, 2, DAY_2)
    commit(table, 7)
    commit(table, mode="replace", replace_partitions=[DAY_2])
    table.vacuum([], newer_than_us=None)
    assert sorted(path.name for path in Path(table.location).iterdir()) == ["_delta_log", "day=2026-01-01"]
    commit(table, 8, day=DAY_2)
    assert ids(table) == [7, 8]


def test_a_writer_does_not_fail_when_its_folder_is_removed_for_being_empty(table: Table) -> None:
    commit(table, 0)
    done = threading.Event()

    def keep_vacuuming() -> None:
        while not done.is_set():
            table.vacuum([], newer_than_us=LONG_AGO_US)

    vacuuming = threading.Thread(target=keep_vacuuming)
    vacuuming.start()
    try:
        for number in range(150):
            table.discard([table.stage(rows(number, day=DAY_2), DAY_2)])
    finally:
        done.set()
        vacuuming.join()
    commit_staged(table, table.stage(rows(1, day=DAY_2), DAY_2))
    assert ids(table) == [0, 1]


def test_what_is_committed_while_vacuum_looks_is_kept(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced(table, 2)
    staged = table.stage(rows(5), DAY_1)
    listed = vacuum.found_files

    def found_then_committed(root: Path) -> list[vacuum.FoundFile]:
        found = listed(root)
        assert staged.path in {file.path for file in found}
        commit_staged(table, staged)
        return found

    monkeypatch.setattr(vacuum, "found_files", found_then_committed)
    assert table.vacuum([], newer_than_us=None).files == 1
    assert ids(table) == [1, 5]


def test_keeping_a_version_that_is_not_there_deletes_nothing(table: Table) -> None:
    replaced(table, 3)
    with pytest.raises(LakeError, match="there is no version 7"):
        table.vacuum([7], newer_than_us=None)
    assert len(on_disk(table)) == 3


def test_kept_files_survive_a_later_vacuum_that_keeps_less(table: Table) -> None:
    replaced(table, 4)
    table.vacuum([0, 1], newer_than_us=None)
    table.vacuum([1], newer_than_us=None)
    assert [bool(table.missing_files(version)) for version in range(4)] == [True, False, True, False]


def test_orphans_are_what_no_version_ever_referred_to(table: Table) -> None:
    replaced(table, 25)
    left = [table.stage(rows(number), DAY_1) for number in range(2)]
    aged(table, left[0], LONG_AGO_US)
    assert table.orphans() == sorted(file.path for file in left)
    report = table.vacuum_orphans(newer_than_us=RECENT_US)
    assert report.deleted == (left[0].path,)
    assert (report.kept_files, report.spared_files) == (25, 1)
    assert table.vacuum_orphans(newer_than_us=None, spare=[left[1].path]).files == 0
    assert table.vacuum_orphans(newer_than_us=None, dry_run=True).deleted == (left[1].path,)
    assert table.vacuum_orphans(newer_than_us=None).deleted == (left[1].path,)
    assert [ids(table, version) for version in range(25)] == [[number] for number in range(25)]


def test_before_the_first_commit_nothing_is_deleted(table: Table) -> None:
    assert table.orphans() == []
    staged = table.stage(rows(1), DAY_1)
    assert table.orphans() == [staged.path]
    assert table.vacuum([], newer_than_us=None).files == 0
    assert table.vacuum_orphans(newer_than_us=None).files == 0
    assert on_disk(table) == {staged.path}


def test_orphans_are_not_guessed_from_half_a_log(table: Table) -> None:
    replaced(table, 25)
    Path(table.location, "_delta_log", f"{3:020d}.json").unlink()
    with pytest.raises(LakeError, match="entry of version 3 is gone, so nobody can tell"):
        table.vacuum_orphans(newer_than_us=None)
    assert len(on_disk(table)) == 25
