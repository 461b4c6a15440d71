"""Making files survive a crash of the machine, not just of the process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk (a no-op where folders can't be opened)."""
    if os.name == "posix":
        sync_file(path)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, each durable in its parent."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder and what is in it: first by name, so that nobody sees a half of it."""
    if path.exists():
        doomed = path.with_name(f".{path.name}.{os.getpid()}.deleted")
        path.replace(doomed)
        shutil.rmtree(doomed)


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file so that readers see the old content or the new, never a part."""
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        sync_file(part)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)  # on a full disk it would stand in the way of what comes next
        raise
    sync_folder(path.parent)
