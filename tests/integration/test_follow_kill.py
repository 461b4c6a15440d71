"""Killed at any moment and run again, a follower ends as if it had never been killed."""

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
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.ingesting import ping, pings
from tests.integration.follow_child import project

ROOT = Path(__file__).parents[2]
POINTS = [
    "before bronze file", "before bronze commit", "after bronze commit", "after quarantine commit",
    "before silver commit", "after silver commit", "after bronze commit", "before silver commit", "after silver file:2",
    "before compact commit", "before compact commit:2", "before bronze commit:2", "after bronze commit:2",
    "before silver commit:2",
]  # fmt: skip
"""Where each run is killed: the next one goes on and gets a little further."""
MOST = None if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1" else 6
"""How many of the points, if not all."""


def rows() -> dict[str, list[Any]]:
    """Clean, torn, wrong and copied rows over some days, and copies that beat their originals."""
    copies = [ping(n, seen="2026-01-05T11:00:00Z") for n in range(5)]
    others = [ping(n, ts="2026-01-03T10:00:00Z", seen=None) for n in range(40, 60)]
    return {
        "a.jsonl": [*pings(range(30), seen=None), ping(30, lat=95), "{torn", *pings(range(60, 80), seen=None)],
        "b.jsonl": [*others, *copies, ping(99, lat=99), *pings(range(80, 90), seen=None)],
    }


def command(root: Path) -> list[str]:
    return [sys.executable, "-m", "tests.integration.follow_child", str(root)]


def run(root: Path, crash_at: str = "") -> int:
    environment = os.environ | {"HEADRACE_CRASH_AT": crash_at, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command(root), env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def started(root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.Popen(command(root), env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def state(root: Path) -> dict[str, pl.DataFrame]:
    """The rows of each table, but for the time at which a run saw them."""
    tables = {layer: project(root).rows(layer) for layer in ("bronze", "silver", "quarantine")}
    return {layer: found.select(sorted(found.columns)) for layer, found in tables.items()}


def assert_whole(root: Path) -> None:
    """What a reader sees between two runs: no row twice, and in silver none that is not in bronze."""
    found = state(root)
    if found["silver"].height:
        assert found["silver"]["event_id"].is_unique().all()
        origins = ["_hr_batch", "_hr_file", "_hr_row"]
        assert found["silver"].join(found["bronze"], on=origins, how="anti").is_empty()
    if found["bronze"].height:
        assert found["bronze"].select("_hr_file", "_hr_row").is_unique().all()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a run leaves behind that is not killed."""
    root = tmp_path_factory.mktemp("clean")
    fill(root)
    assert run(root) == 0
    yield root
    shutil.rmtree(root)


def fill(root: Path) -> Path:
    made = project(root)
    for name, some in rows().items():
        made.write(name, some)
    return root


def assert_same(root: Path, other: Path) -> None:
    found, wanted = state(root), state(other)
    for layer, expected in wanted.items():
        assert_frame_equal(found[layer], expected)


def test_the_clean_run_is_what_it_should_be(clean: Path) -> None:
    found = state(clean)
    assert found["silver"].height == 80
    assert found["silver"].filter(pl.col("seen").is_not_null()).height == 5
    assert found["quarantine"].height == 3
    batches = project(clean).ledger().batches
    assert len(batches) >= 14
    operations = [commit.metadata["operation"] for commit in project(clean).table("silver").commits()]
    assert operations.count("compact") >= 2


@pytest.mark.slow
def test_killed_at_every_point_on_the_way(clean: Path, tmp_path: Path) -> None:
    root = fill(tmp_path)
    for point in POINTS[:MOST]:
        assert run(root, crash_at=point) == -signal.SIGKILL, point
        assert_whole(root)
    assert run(root) == 0
    assert_same(root, clean)


@pytest.mark.thorough
@pytest.mark.slow
def test_killed_at_any_time(clean: Path, tmp_path: Path) -> None:
    root = fill(tmp_path)
    chance = random.Random(11)
    for _ in range(6):
        child = started(root)
        time.sleep(chance.uniform(0.6, 2.0))
        child.kill()
        child.communicate()
        assert_whole(root)
    assert run(root) == 0
    assert_same(root, clean)


@pytest.mark.thorough
@pytest.mark.slow
def test_two_at_once_double_nothing(clean: Path, tmp_path: Path) -> None:
    root = fill(tmp_path)
    children = [started(root) for _ in range(3)]
    ends = [(child.communicate()[1], child.returncode) for child in children]
    assert any(code == 0 for _, code in ends)
    assert all("ConflictError: follow-gps is already running in process" in text for text, code in ends if code)
    assert_same(root, clean)
