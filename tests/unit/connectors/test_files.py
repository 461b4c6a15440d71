"""Which files a source has."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import headrace as hr
from headrace.connectors.files import digest, list_files
from headrace.errors import SourceError


def touched(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def names(root: Path, pattern: str) -> list[str]:
    return [file.name for file in list_files(root, hr.Files(pattern))]


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    touched(tmp_path, "in/b.csv", "in/a.csv", "in/c.txt", "in/deep/a.csv")
    assert names(tmp_path, "in/*.csv") == ["in/a.csv", "in/b.csv"]
    assert names(tmp_path, "in/**/*.csv") == ["in/a.csv", "in/b.csv", "in/deep/a.csv"]
    assert names(tmp_path, "./in/a.csv") == ["in/a.csv"]
    assert names(tmp_path, "in/[bc].csv") == ["in/b.csv"]
    assert names(tmp_path, "out/*.csv") == []


def test_files_elsewhere_keep_their_whole_path(tmp_path: Path) -> None:
    other = touched(tmp_path / "other", "a.csv")
    assert names(tmp_path / "project", f"{other}/*.csv") == [f"{other}/a.csv"]


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("in/docs_{date}.csv", "in/docs_2026-01-05.csv"), ("in/{date}/docs.csv", "in/2026-01-05/docs.csv"),
     ("in/*_{date}_*.csv", "in/a_2026-01-05_2.csv"), ("in/**/{date}.csv", "in/x/y/2026-01-05.csv")],
)  # fmt: skip
def test_days_are_read_from_names(tmp_path: Path, pattern: str, name: str) -> None:
    (file,) = list_files(touched(tmp_path, name), hr.Files(pattern))
    assert file.day == date(2026, 1, 5)


def test_files_with_a_day_come_in_its_order(tmp_path: Path) -> None:
    touched(tmp_path, "b_2026-01-01.csv", "a_2026-01-02.csv")
    assert names(tmp_path, "*_{date}.csv") == ["b_2026-01-01.csv", "a_2026-01-02.csv"]


def test_what_is_no_day_is_refused(tmp_path: Path) -> None:
    touched(tmp_path, "docs_2026-02-30.csv")
    with pytest.raises(SourceError, match="'2026-02-30' in its name is no day"):
        names(tmp_path, "docs_{date}.csv")


def test_digests_tell_contents_apart(tmp_path: Path) -> None:
    touched(tmp_path, "a", "b")
    (tmp_path / "c").write_text("a")
    assert digest(tmp_path / "a") == digest(tmp_path / "c") != digest(tmp_path / "b")
    assert len(digest(tmp_path / "a")) == 32
    with pytest.raises(SourceError, match="is gone"):
        digest(tmp_path / "d")
