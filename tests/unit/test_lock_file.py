"""The lock file holds what `pyproject.toml` asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)


def locked_versions(root: Path) -> dict[str, set[str]]:
    """Return the versions of each package in the lock file; more than one where they differ by Python."""
    versions: dict[str, set[str]] = {}
    for pin in PIN.finditer((root / "requirements.lock").read_text()):
        versions.setdefault(pin["name"].lower(), set()).add(pin["version"])
    return versions


def requirements_of(root: Path) -> list[Requirement]:
    """Return what the package, its extras and its development groups require."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text())
    groups = [
        pyproject["project"]["dependencies"],
        *pyproject["project"]["optional-dependencies"].values(),
        *pyproject["dependency-groups"].values(),
        pyproject["build-system"]["requires"],
    ]
    return [Requirement(item) for group in groups for item in group if isinstance(item, str)]


def test_every_requirement_is_locked_within_its_bounds(project_root: Path) -> None:
    locked = locked_versions(project_root)
    missing = [
        str(requirement)
        for requirement in requirements_of(project_root)
        if not any(requirement.specifier.contains(version) for version in locked.get(requirement.name.lower(), ()))
    ]
    assert missing == [], "run `make lock`"
