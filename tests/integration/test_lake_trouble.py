"""A lake that can't be written: a clear error, nothing half-written to be seen, and a clean run afterwards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.errors import LakeError
from headrace.platform.optimize import optimize_tables
from tests.ingesting import Project, pings


def mounted(*options: str) -> None:
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount a file system: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes under the project's lake."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "lake"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_mended_by_a_second_run(small_disk: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.put("a.jsonl", pings(range(100)))
    project.ingest()
    project.put("b.jsonl", pings(range(100, 3000)))
    ballast = small_disk / "ballast"
    fill(ballast)
    with pytest.raises(LakeError, match=r"the disk is full \([\d,]+ bytes free\)\. Free some space"):
        project.ingest()
    assert len(project.ids()) == 100
    ballast.unlink()
    assert project.ingest().accepted == 2900
    assert len(project.ids()) == 3000


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            return


def test_a_read_only_lake_is_told_and_still_read(small_disk: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.put("a.jsonl", pings(range(100)))
    project.ingest()
    project.put("b.jsonl", pings(range(100, 200)))
    mounted("-o", "remount,ro", str(small_disk))
    try:
        with pytest.raises(LakeError, match="the file system is read-only"):
            project.ingest()
        with pytest.raises(LakeError, match="the file system is read-only"):
            optimize_tables(project.context())
        assert len(project.ids()) == 100
    finally:
        mounted("-o", "remount,rw", str(small_disk))
    assert project.ingest().accepted == 100


def test_a_lake_where_a_file_stands_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.put("a.jsonl", pings(range(3)))
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(LakeError, match="Can't lock"):
        project.ingest()
