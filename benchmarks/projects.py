"""Projects for benchmarks."""

from __future__ import annotations

from pathlib import Path

from headrace.platform import Platform


def open_project(root: Path, definitions: str) -> Platform:
    """The project in a folder; made and applied if there is none."""
    if root.exists():
        return Platform.open(root)
    root.mkdir(parents=True)
    (root / "headrace.toml").write_text('name = "bench"\nmodule = "features"\n')
    (root / "features.py").write_text(definitions)
    platform = Platform.open(root)
    platform.apply()
    return platform
