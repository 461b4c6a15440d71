"""Importing headrace, or asking a command for its help, loads none of the heavy libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from headrace.cli.commands import SUMMARIES

HEAVY = [
    "confluent_kafka",
    "deltalake",
    "h3",
    "lmdb",
    "narwhals",
    "numpy",
    "pandas",
    "pandera",
    "polars",
    "prometheus_client",
    "psycopg",
    "pyarrow",
    "redis",
    "sklearn",
    "sqlalchemy",
    "starlette",
    "uvicorn",
]

PROBE = """
import json, sys
{statement}
print()
print(json.dumps(sorted(set({heavy}) & set(sys.modules))))
"""

COMMAND = """
from headrace.cli.main import app
app({arguments}, prog_name="headrace", standalone_mode=False)
"""


def loaded_by(statement: str) -> list[str]:
    """Run a statement in a new interpreter and name the heavy libraries that it loaded."""
    program = PROBE.format(statement=statement, heavy=HEAVY)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(run.stdout.splitlines()[-1])
    return loaded


def test_the_probe_sees_a_heavy_library() -> None:
    assert loaded_by("import numpy") == ["numpy"]


def test_importing_headrace_is_light() -> None:
    assert loaded_by("import headrace") == []


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in SUMMARIES)], ids=" ".join)
def test_help_is_light(arguments: list[str]) -> None:
    assert loaded_by(COMMAND.format(arguments=arguments)) == []


def test_the_module_runs_as_a_program() -> None:
    run = subprocess.run([sys.executable, "-m", "headrace", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: headrace" in run.stdout
