"""Deleting data files that nobody needs any more.

Files are listed before the log is read: a file that is committed in between is in the log by then. What
is staged and not committed is told by its age, or by its name. Stopping at any point leaves fewer files
to delete and nothing else, so the next run goes on.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from headrace.errors import LakeError
from headrace.lake.base import VacuumReport
from headrace.lake.failures import lake_failures

_OURS: Final = re.compile(r"part-.+\.parquet|.+\.part")
_PARTITION: Final = re.compile(r"[^=]+=.*")
_TICK_US: Final = 20_000
"""A file's time comes from the system's tick, and may be this much before the clock's."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file in a table's folder.

    Attributes
    ----------
    path : str
        Relative to the folder.
    size_bytes : int
        Its length.
    modified_us : int
        When it was last written, in microseconds since 1970 UTC, by the disk's clock.
    """

    path: str
    size_bytes: int
    modified_us: int

    def is_newer(self, than_us: int | None) -> bool:
        """Whether it was written at that time or later."""
        return than_us is not None and self.modified_us + _TICK_US >= than_us


def found_files(root: Path) -> list[FoundFile]:
    """The data files in a table's folder and its partitions, whether a version refers to them or not.

    Raises
    ------
    LakeError
        If a folder can't be read.
    """
    with lake_failures("read", root):
        found = (_found(root, path) for folder in _folders(root) for path in sorted(_ours(folder)))
        return [file for file in found if file is not None]


def _found(root: Path, path: Path) -> FoundFile | None:
    try:
        state = path.stat()
    except FileNotFoundError:  # its writer has discarded it meanwhile
        return None
    return FoundFile(path.relative_to(root).as_posix(), state.st_size, state.st_mtime_ns // 1_000)


def _ours(folder: Path) -> list[Path]:
    try:
        return [
            Path(e.path) for e in os.scandir(folder) if _OURS.fullmatch(e.name) and e.is_file(follow_symlinks=False)
        ]
    except FileNotFoundError:
        return []


def _folders(root: Path) -> Iterator[Path]:
    """The table's folder and those of its partitions, each before those in it."""
    yield root
    try:
        inner = sorted(
            Path(e.path) for e in os.scandir(root) if _PARTITION.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
        )
    except FileNotFoundError:
        return
    for folder in inner:
        yield from _folders(folder)


def unneeded(
    found: Iterable[FoundFile], needed: Collection[str], newer_than_us: int | None, spare: Collection[str]
) -> tuple[list[FoundFile], list[FoundFile]]:
    """What may be deleted of the files that were found, and what is spared though no needed version refers to it."""
    decoded = {*needed, *map(unquote, needed)}  # a log may hold the path of a partition with its letters escaped
    loose = [file for file in found if file.path not in decoded]
    spared = [file for file in loose if file.path in spare or file.is_newer(newer_than_us)]
    kept = {file.path for file in spared}
    return [file for file in loose if file.path not in kept], spared


def swept(
    root: Path,
    found: Iterable[FoundFile],
    needed: Collection[str],
    newer_than_us: int | None,
    spare: Collection[str],
    *,
    dry_run: bool,
) -> VacuumReport:
    """Delete what is not needed, and the partitions' folders that are empty then; only report if `dry_run`.

    Raises
    ------
    LakeError
        If a file can't be deleted. Those before it are.
    """
    doomed, spared = unneeded(found, needed, newer_than_us, spare)
    if not dry_run:
        with lake_failures("delete files of", root):
            for file in doomed:
                (root / file.path).unlink(missing_ok=True)
            for folder in reversed(list(_folders(root))[1:]):
                _remove_if_empty(folder)
    size_bytes = sum(file.size_bytes for file in doomed)
    return VacuumReport(tuple(file.path for file in doomed), size_bytes, len(needed), len(spared))


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder unless a file is in it; who is about to write there makes it again (`staging`)."""
    if any(folder.iterdir()):
        return
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


def ever_referred_to(root: Path, newest: int) -> set[str]:
    """The paths of all files that a version up to `newest` refers to, or an earlier one did.

    Raises
    ------
    LakeError
        If a part of the log is missing.
    """
    paths: set[str] = set()
    with lake_failures("read", root):
        for version in range(newest + 1):
            paths.update(_added(root, version))
    return paths


def _added(root: Path, version: int) -> Iterator[str]:
    entry = root / "_delta_log" / f"{version:020d}.json"
    if not entry.exists():
        raise LakeError(
            f"{root}: the log's entry of version {version} is gone, so nobody can tell which files are loose."
        )
    for line in entry.read_text(encoding="utf-8").splitlines():
        if '"add"' in line:
            action = json.loads(line)
            if "add" in action:
                yield action["add"]["path"]
