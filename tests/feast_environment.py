"""Feast in an environment of its own, for tests that hold headrace beside it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, _unavailable

VARIABLE = "HEADRACE_FEAST_PYTHON"


def feast_python() -> Path:
    """The interpreter of an environment with Feast; the test is skipped where there is none."""
    named = Path(os.environ.get(VARIABLE, ROOT / ".venv-feast" / "bin" / "python"))
    if not named.exists():
        _unavailable("an environment with Feast (make .venv-feast/.feast-installed)", VARIABLE)
    return named


def feast(script: Path, question: Any, *, cwd: Path, timeout: float = 120) -> Any:
    """Run a script there: it reads the question from its input as JSON, and answers on its last line."""
    environment = {**os.environ, "FEAST_USAGE": "False", "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [feast_python(), script], input=json.dumps(question), cwd=cwd, env=environment, timeout=timeout,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        pytest.fail(f"{script.name} failed:\n{ran.stdout}\n{ran.stderr}")
    return json.loads(ran.stdout.splitlines()[-1])
