"""Named sets of frames in a folder: saved whole or not at all, for state between runs.

A folder has one writer at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from headrace.lake.durable import make_folder, sync_file, sync_folder
from headrace.lake.failures import damaged, lake_failures

_NOTE = "note.json"
_DIGESTS = "digests"
_PART = ".part"


@dataclass(frozen=True, slots=True)
class SavedState:
    """A saved set of frames.

    Parameters
    ----------
    path : Path
        Its folder.
    note : dict
        What was said about it when it was saved.
    """

    path: Path
    note: dict[str, Any]

    def frames(self) -> dict[str, pl.DataFrame]:
        """Read the frames, by name.

        Raises
        ------
        LakeError
            If a file is missing, or is not as it was written.
        """
        digests: dict[str, str] = self.note[_DIGESTS]
        return {name: _read(self.path / f"{name}.parquet", digest) for name, digest in digests.items()}

    def delete(self) -> None:
        """Remove it; a reader that is in the middle fails and looks for another."""
        shutil.rmtree(self.path, ignore_errors=True)


def save_state(folder: Path, name: str, frames: Mapping[str, pl.DataFrame], note: Mapping[str, Any]) -> None:
    """Save frames under a name: written beside, made durable, then put in place by one rename.

    What exists under the name stays as it is. Of what could not be written whole nothing is left: where a disk is full,
    others need the room.

    Raises
    ------
    LakeError
        If it can't be written.
    """
    part, whole = folder / f".{name}{_PART}", folder / name
    with lake_failures("write", folder):
        if _saved(whole) is not None:
            return
        for torn in (whole, *folder.glob(f".*{_PART}")):
            if torn.is_dir():
                shutil.rmtree(torn)
        try:
            _write_all(part, frames, note)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        part.rename(whole)
        sync_folder(folder)


def saved_states(folder: Path) -> list[SavedState]:
    """What is saved in a folder, by name; what has no readable note is left out."""
    if not folder.is_dir():
        return []
    with lake_failures("read", folder):
        found = [_saved(path) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    return [state for state in found if state is not None]


def _saved(path: Path) -> SavedState | None:
    try:
        note = json.loads((path / _NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return SavedState(path, note) if isinstance(note, dict) and _DIGESTS in note else None


def _write_all(part: Path, frames: Mapping[str, pl.DataFrame], note: Mapping[str, Any]) -> None:
    make_folder(part)
    digests = {key: _write(part / f"{key}.parquet", frame) for key, frame in frames.items()}
    (part / _NOTE).write_text(json.dumps({**note, _DIGESTS: digests}), encoding="utf-8")
    sync_file(part / _NOTE)


def _write(path: Path, frame: pl.DataFrame) -> str:
    frame.write_parquet(path, compression="lz4")
    sync_file(path)
    return _digest(path)


def _read(path: Path, digest: str) -> pl.DataFrame:
    with lake_failures("read", path):
        if _digest(path) != digest:
            raise damaged(path, "its content is not what was written")
        return pl.read_parquet(path)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, xxhash.xxh3_128).hexdigest()
