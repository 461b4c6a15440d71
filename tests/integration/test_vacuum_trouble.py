"""Vacuum and restore next to a writer, killed in the middle, and on disks that can't be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import LakeError
from headrace.lake.base import Table
from tests.contract.lakes import DAY_1, DAY_2, commit, ids
from tests.integration.disks import nearly_full, read_only, small_disk
from tests.integration.lake_child import BEGUN, COMMITS, table

KEPT = 2


def child(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.lake_child", str(root), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def killed(root: Path, *arguments: str) -> None:
    with child(root, *arguments) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, said


def on_disk(found: Table) -> list[str]:
    return sorted(path.relative_to(found.location).as_posix() for path in Path(found.location).glob("day=*/part-*"))


def paths(found: Table, version: int | None = None) -> list[str]:
    return sorted(file.path for file in found.files(version))


def five_versions(root: Path) -> Table:
    """Of DAY_1; the first has DAY_2 too, whose folder is empty after a vacuum that keeps the newest."""
    found = table(root)
    commit(found, 100, day=DAY_2)
    for number in range(4):
        commit(found, number, mode="replace", replace_partitions=[DAY_1, DAY_2])
    return found


def test_no_file_that_a_version_refers_to_is_deleted_while_another_process_commits(tmp_path: Path) -> None:
    found, deleted = table(tmp_path), 0
    with child(tmp_path, "write") as writer:
        while writer.poll() is None:
            if not found.exists():
                continue
            begun_us = int((tmp_path / BEGUN).read_text())
            pinned = range(max(0, found.version() - KEPT), found.version() + 1)
            deleted += found.vacuum([*pinned], newer_than_us=begun_us).files
            assert [found.missing_files(version) for version in pinned] == [[]] * len(pinned)
        assert writer.stderr is not None
        assert writer.returncode == 0, writer.stderr.read()
    assert deleted > 0
    assert ids(found) == [COMMITS - 2] * 4 + [COMMITS - 1] * 4
    found.vacuum([], newer_than_us=None)
    assert on_disk(found) == paths(found)
    assert found.orphans() == []


@pytest.mark.parametrize("when", ["file:1", "file:3", "folder:1", "done:1"])
def test_a_vacuum_that_was_killed_is_finished_by_the_next(tmp_path: Path, when: str) -> None:
    found = five_versions(tmp_path)
    killed(tmp_path, "vacuum", when)
    assert len(on_disk(found)) == {"file:1": 5, "file:3": 3}.get(when, 1)
    assert (found.version(), ids(found)) == (4, [3])
    found.vacuum([], newer_than_us=None)
    assert on_disk(found) == paths(found)
    assert not Path(found.location, "day=2026-01-02").exists()
    commit(found, 8, day=DAY_2)
    assert ids(found) == [3, 8]


def test_a_restore_that_was_killed_before_its_commit_has_changed_nothing(tmp_path: Path) -> None:
    found = five_versions(tmp_path)
    killed(tmp_path, "restore", "before")
    assert (found.version(), ids(found)) == (4, [3])
    assert found.restore(0, metadata={}, transaction=("rollback", 1)) == 5
    assert ids(found) == [100]


def test_a_restore_that_was_killed_behind_its_commit_is_not_done_twice(tmp_path: Path) -> None:
    found = five_versions(tmp_path)
    killed(tmp_path, "restore", "behind")
    assert (found.version(), ids(found)) == (5, [100])
    assert found.commit_at(5).metadata == {"kind": "rollback"}
    assert found.restore(0, metadata={}, transaction=("rollback", 1)) is None
    assert found.version() == 5


@pytest.fixture
def lake_disk(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    return tmp_path / "lake"


def test_a_read_only_lake_is_told_and_left_alone(lake_disk: Path) -> None:
    with small_disk(lake_disk, "4m"):
        found = five_versions(lake_disk.parent)
        before = on_disk(found)
        with read_only(lake_disk):
            with pytest.raises(LakeError, match=r"Can't delete files of .*the file system is read-only"):
                found.vacuum([], newer_than_us=None)
            with pytest.raises(LakeError, match=r"Can't commit to .*the file system is read-only"):
                found.restore(0, metadata={})
            assert found.vacuum([], newer_than_us=None, dry_run=True).files == 4
            assert (on_disk(found), ids(found)) == (before, [3])
        assert found.restore(0, metadata={}) == 5
        assert found.vacuum([], newer_than_us=None).files == 4


def test_a_full_disk_can_be_vacuumed(lake_disk: Path) -> None:
    with small_disk(lake_disk, "4m"):
        found = five_versions(lake_disk.parent)
        with nearly_full(lake_disk, 0):
            with pytest.raises(LakeError, match="the disk is full"):
                found.restore(0, metadata={})
            assert ids(found) == [3]
            assert found.vacuum([0], newer_than_us=None).files == 3
            assert found.restore(0, metadata={}) == 5
        assert ids(found) == [100]


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    found = five_versions(tmp_path)
    folder = Path(found.location, "day=2026-01-01")
    folder.chmod(0o500)
    try:
        with pytest.raises(LakeError, match="writing is not permitted"):
            found.vacuum([], newer_than_us=None)
    finally:
        folder.chmod(0o700)
    assert ids(found) == [3]
