"""A new project runs as it is, by the commands that ``headrace init`` names."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest


def run(folder: Path, line: str) -> str:
    arguments = shlex.split(line)
    assert arguments.pop(0) == "headrace"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
    command = [sys.executable, "-m", "headrace", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_that_init_names(tmp_path: Path) -> None:
    hints = run(tmp_path, "headrace init city").partition("Next: cd city && ")[2]
    first, *others = hints.replace("Then:", "").splitlines()
    shown = [run(tmp_path / "city", line) for line in (*first.split(" && "), *(line.strip() for line in others))]
    assert [line.split()[1] for line in first.split(" && ")] == ["apply", "ingest", "backfill"]
    assert len(shown) == 5
    (result,) = (tmp_path / "city" / "training").rglob("training_set.parquet")
    rows = pl.read_parquet(result)
    assert len(rows) == 12
    assert rows["driver_now__status"].null_count() == 0
    assert rows["driver_now__pings_1h"].to_list() == [4] * 12
