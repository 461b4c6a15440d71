"""Named sets of frames in a folder: saved whole or not at all, for state between runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from headrace.lake.durable import make_folder, sync_file, sync_folder
from headrace.lake.failures import lake_failures

_NOTE = "note.json"


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
        """Read the frames, by name."""
        with lake_failures("read", self.path):
            return {file.stem: pl.read_parquet(file) for file in sorted(self.path.glob("*.parquet"))}

    def delete(self) -> None:
        """Remove it; a reader that is in the middle fails and looks for another."""
        shutil.rmtree(self.path, ignore_errors=True)


def save_state(folder: Path, name: str, frames: Mapping[str, pl.DataFrame], note: Mapping[str, Any]) -> None:
    """Save frames under a name: written beside, made durable, then put in place by one rename.

    What exists under the name stays as it is.
    """
    part, whole = folder / f".{name}.{os.getpid()}.part", folder / name
    with lake_failures("write", folder):
        if whole.exists():
            return
        shutil.rmtree(part, ignore_errors=True)
        make_folder(part)
        for key, frame in frames.items():
            frame.write_parquet(part / f"{key}.parquet", compression="lz4")
            sync_file(part / f"{key}.parquet")
        (part / _NOTE).write_text(json.dumps(dict(note)), encoding="utf-8")
        sync_file(part / _NOTE)
        part.rename(whole)
        sync_folder(folder)


def saved_states(folder: Path) -> list[SavedState]:
    """What is saved in a folder, by name."""
    if not folder.is_dir():
        return []
    with lake_failures("read", folder):
        whole = [
            path for path in sorted(folder.iterdir()) if (path / _NOTE).is_file() and not path.name.startswith(".")
        ]
        return [SavedState(path, json.loads((path / _NOTE).read_text(encoding="utf-8"))) for path in whole]
