"""Chapter 10: the project that is left, and commands to look around in it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path

import narwhals as nw
import polars as pl

from data_platform.demo.arriving import ArrivingDay
from data_platform.demo.folder import OUTCOME
from data_platform.demo.telling import Teller
from data_platform.demo.training_sets import SERVICE
from data_platform.features.grid import cell_number

_REQUESTS = 8


def explore(tell: Teller, root: Path, test: pl.DataFrame, day: ArrivingDay) -> list[list[str]]:
    """Write some requests to answer, and print the commands; returns their arguments. The last one does not end."""
    busy = test.sort("label_time").slice(len(test) // 2, _REQUESTS)
    at = busy["label_time"][0]
    newest = day.labels(day.midnight, day.at(18)).sort("label_time").row(-1, named=True)
    requests = root / "requests.csv"
    _with_cells(busy).write_csv(requests)
    sets = root / "training_sets"
    commands = [
        ["status"],
        ["quarantine", "show", "gps", "--limit", "5"],
        ["history", "driver_now", f"driver_id={busy['driver_id'][0]}", "--end", _text(at), "--limit", "8"],
        ["snapshot", "dispatch", "--at", _text(at), "--entities", _short(requests)],
        ["training-set", "--from-manifest", _short(sets / "afternoon"), "--to", _short(sets / "again")],
        ["versions", "driver_rating"],
        ["get", SERVICE, f"driver_id={newest['driver_id']},city={newest['city']}", "--at", _text(day.at(18, 0, 54))],
        ["serve"],
    ]
    tell.heading(
        "Explore", f"{_short(root)} is a project: definitions in features/, tables in lake/, figures in {OUTCOME}."
    )
    for line in (*_environment(root), *(shlex.join(["headrace", *command]) for command in commands)):
        tell.command(line)
    tell.say("Change a window in features/views.py, and headrace plan says what that would cost.", style="dim")
    return commands


def _with_cells(labels: pl.DataFrame) -> pl.DataFrame:
    cell = cell_number(nw.col("pickup_lat"), nw.col("pickup_lon"))
    located = nw.from_native(labels).with_columns(pickup_cell=cell).to_native()
    return located.select("driver_id", "city", "pickup_cell")


def _environment(root: Path) -> list[str]:
    """What to set first, so that the commands are found and find the project."""
    lines = [f"export HEADRACE_PROJECT={shlex.quote(_short(root))}"]
    if shutil.which("headrace") is None:
        lines.append(f"export PATH={shlex.quote(_short(Path(sys.executable).parent))}:$PATH")
    return lines


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _text(moment: datetime) -> str:
    return f"{(moment + timedelta(seconds=1)):%Y-%m-%dT%H:%M:%SZ}"
