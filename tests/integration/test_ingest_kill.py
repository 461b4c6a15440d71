"""Killed at any moment and run again, an ingest ends as if it had never been killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.ingesting import ping, pings
from tests.integration.ingest_child import project

ROOT = Path(__file__).parents[2]
MOST = None if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1" else 4
"""How many of the points, if not all."""
STEPS = ("ingest", "replay", "rebuild")
CHAINS = {
    "ingest": [
        "before bronze file", "before bronze commit", "after bronze commit", "before bronze commit",
        "after bronze commit:2", "after quarantine commit", "before silver commit", "after silver commit",
        "after silver file", "before silver commit", "after silver commit:2",
    ],
    "replay": ["before silver commit", "after silver commit", "after quarantine commit"],
    "rebuild": ["before silver commit:2", "after silver commit:2", "before rebuild commit", "after rebuild commit"],
}  # fmt: skip
"""Where each run of a project is killed: the next one goes on and gets a little further."""


def landed(root: Path) -> Path:
    """Three files over some days: clean, torn, wrong and copied rows, and copies that beat their originals."""
    made = project(root)
    made.put("a.jsonl", [*pings(range(30), seen=None), ping(30, lat=95), "{torn"])
    copies = [ping(n, seen="2026-01-05T11:00:00Z") for n in range(5)]
    others = [ping(n, ts="2026-01-03T10:00:00Z", seen=None) for n in range(40, 60)]
    made.put("b.jsonl", [*others, *copies, ping(99, lat=99)])
    made.put("c.jsonl", [ping(n, ts="2026-01-04T10:00:00Z", seen=None) for n in range(60, 90)])
    return root


def run(root: Path, what: str, crash_at: str = "") -> int:
    environment = os.environ | {"HEADRACE_CRASH_AT": crash_at, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.ingest_child", str(root), what]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def started(root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.ingest_child", str(root), "ingest"]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def state(root: Path) -> dict[str, pl.DataFrame]:
    made = project(root)
    tables = {layer: made.rows(layer) for layer in ("bronze", "silver", "quarantine")}
    return {layer: rows.select(sorted(rows.columns)) for layer, rows in tables.items()}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """What each step leaves behind when it is not killed, and what it starts from."""
    folder = tmp_path_factory.mktemp("clean")
    root = landed(folder / "start")
    found = {"start": root}
    for step in STEPS:
        after = folder / step
        shutil.copytree(root, after)
        if step != "ingest":
            (after / "mended").touch()
        assert run(after, step) == 0
        found[step] = root = after
    yield found
    shutil.rmtree(folder)


def start_of(step: str, clean: dict[str, Path], tmp_path: Path) -> Path:
    before = {"ingest": "start", "replay": "ingest", "rebuild": "replay"}[step]
    root = tmp_path / "project"
    shutil.copytree(clean[before], root)
    if step != "ingest":
        (root / "mended").touch()
    return root


def assert_whole(root: Path) -> None:
    """What a reader sees between two runs: whole batches, no row twice."""
    silver = project(root).rows()
    if not silver.height:
        return
    assert silver.height == silver["event_id"].n_unique()
    by_file = silver.group_by("_hr_file").len().rows()
    for file, rows in by_file:
        assert (
            rows in {"landing/a.jsonl": (30, 25, 31, 26), "landing/b.jsonl": (25, 26), "landing/c.jsonl": (30,)}[file]
        )


def assert_same(root: Path, other: Path) -> None:
    found, wanted = state(root), state(other)
    for layer, rows in wanted.items():
        assert_frame_equal(found[layer], rows)


def test_the_clean_run_is_what_it_should_be(clean: dict[str, Path]) -> None:
    silver, quarantine = state(clean["ingest"])["silver"], state(clean["ingest"])["quarantine"]
    assert silver["event_id"].n_unique() == silver.height == 80
    assert silver.filter(pl.col("seen").is_not_null()).height == 5
    assert quarantine.height == 3
    replayed = state(clean["replay"])["silver"]
    assert replayed.height == 82
    assert_frame_equal(state(clean["rebuild"])["silver"], replayed)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_point_on_the_way(step: str, clean: dict[str, Path], tmp_path: Path) -> None:
    root = start_of(step, clean, tmp_path)
    for point in CHAINS[step][:MOST]:
        assert run(root, step, crash_at=point) == -signal.SIGKILL, point
        assert_whole(root)
    assert run(root, step) == 0
    assert_same(root, clean[step])


@pytest.mark.thorough
@pytest.mark.slow
def test_killed_at_any_time(clean: dict[str, Path], tmp_path: Path) -> None:
    root = start_of("ingest", clean, tmp_path)
    chance = random.Random(7)
    for _ in range(5):
        child = started(root)
        time.sleep(chance.uniform(0.5, 2.5))
        child.kill()
        child.communicate()
        assert_whole(root)
    assert run(root, "ingest") == 0
    assert_same(root, clean["ingest"])


@pytest.mark.slow
def test_two_at_once_double_nothing(clean: dict[str, Path], tmp_path: Path) -> None:
    root = start_of("ingest", clean, tmp_path)
    children = [started(root) for _ in range(3)]
    ends = [(child.communicate()[1], child.returncode) for child in children]
    assert any(code == 0 for _, code in ends)
    assert all("ConflictError: ingest-gps is already running in process" in text for text, code in ends if code)
    assert_same(root, clean["ingest"])
