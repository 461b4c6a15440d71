"""What is in the repository works anywhere: no file names a registry's host or a place on one machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

# Each pattern escapes a letter or a dot, so that this file does not match what it looks for.
REGISTRY_HOST = r"py[p]i\.org|python[h]osted\.org|registry\.npm[j]s|maven\.(?:org|apache)|proxy\.go[l]ang|deb\.debian"
MACHINE_PATH = r"(?<![\w.])/(?:root|wor[k]|home/\w+|Users/\w+)/"
FORBIDDEN = re.compile(f"{REGISTRY_HOST}|{MACHINE_PATH}")


def repository_files(root: Path) -> list[Path]:
    """Return the files of the repository that are text, new ones included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this source tree is not a git repository")
    paths = [root / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:1024]]


def test_no_file_names_a_registry_host_or_a_place_on_one_machine(project_root: Path) -> None:
    files = repository_files(project_root)
    found = [
        f"{path.relative_to(project_root)}:{number}: {line.strip()[:100]}"
        for path in files
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]
    assert files
    assert found == []
