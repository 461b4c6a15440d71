"""Feast, in an environment of its own: ``make bench-feast`` installs it into ``.venv-feast``."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import ROOT, ROUNDS, Foreign

MISSING = "install Feast: make bench-feast"
PYTHON = ROOT / ".venv-feast" / "bin" / "python"


def foreign(bench: str, names: Sequence[str], most_rounds: int = ROUNDS) -> dict[str, Foreign]:
    """Feast's contenders in a benchmark; none where it is not installed."""
    if not PYTHON.exists():
        return {}
    return {name: Foreign(PYTHON, f"benchmarks.feast.{bench}", most_rounds) for name in names}
