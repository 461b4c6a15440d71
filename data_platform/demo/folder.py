"""The demo's folder: a complete project, that can be made anew but never takes the place of another."""

from __future__ import annotations

import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Final

import data_platform
from headrace.errors import SettingsError
from headrace.platform.settings import FILE_NAME, Settings

OUTCOME: Final = "outcome.json"
MASK_KEY: Final = "the demo's key, not for real people"
_MARKER: Final = ".headrace-demo"
_MADE: Final = (
    "features", "landing", "labels", "truth", "lake", "online", "training_sets",
    "registry.db", "registry.db-wal", "registry.db-shm", "requests.csv", OUTCOME, FILE_NAME,
)  # fmt: skip


def isolate() -> None:
    """Let no setting of the environment lead the demo to another lake or registry."""
    for field in fields(Settings):
        os.environ.pop(f"HEADRACE_{field.name.upper()}", None)
    os.environ.setdefault("HEADRACE_MASK_KEY", MASK_KEY)


def prepare(directory: Path) -> Path:
    """Make the project's folder with settings and definitions, without what an earlier demo left.

    Raises
    ------
    SettingsError
        If the folder holds something else, or can't be written.
    """
    root = directory.expanduser().resolve()
    if root.exists() and not root.is_dir():
        raise SettingsError(f"{root} is a file. Name another folder: headrace demo DIR")
    if root.is_dir() and any(root.iterdir()) and not (root / _MARKER).exists():
        raise SettingsError(f"{root} holds something else than a demo. Name another folder: headrace demo DIR")
    try:
        _clear(root)
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARKER).touch()
        _copy_definitions(root)
    except OSError as error:
        raise SettingsError(f"{root} can't be written: {error.strerror}. Name another folder.") from error
    return root


def _clear(root: Path) -> None:
    for name in _MADE:
        path = root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _copy_definitions(root: Path) -> None:
    package = Path(data_platform.__file__).parent
    shutil.copy(package / FILE_NAME, root)
    shutil.copytree(package / "features", root / "features", ignore=shutil.ignore_patterns("__pycache__"))
