"""The demo as a user runs it, at a small size: its figures are right, and the project it leaves works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Demo:
    parent: Path
    root: Path
    outcome: dict[str, Any]


def headrace(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    environment["HEADRACE_PROJECT"] = "demo"
    if arguments[0] == "demo":
        environment["HEADRACE_LAKE"] = "./elsewhere"  # the demo keeps to its folder
    return subprocess.run(
        [sys.executable, "-m", "headrace", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    parent = tmp_path_factory.mktemp("demo")
    done = headrace(["demo", "demo", "--days", "2", "--drivers", "120"], parent)
    assert done.returncode == 0, done.stderr
    return Demo(parent, parent / "demo", json.loads((parent / "demo" / "outcome.json").read_text()))


def test_quarantine_and_silver_hold_what_the_simulator_says(demo: Demo) -> None:
    injected, found = demo.outcome["ingest"]["injected"], demo.outcome["ingest"]["found"]
    assert found == injected
    assert {"gps: driver_id", "gps: lat", "gps: speed_mps", "gps: status", "gps: ts"} < injected.keys()
    assert all(injected.values())


def test_features_are_those_of_the_true_pings(demo: Demo) -> None:
    sets = demo.outcome["training_sets"]
    assert sets["checked"] == min(2_000, sets["test"])
    assert sets["differing"] == 0


def test_every_view_has_steps(demo: Demo) -> None:
    views = {"driver_now", "driver_papers", "driver_rating", "cell_demand", "city_wait", "driver_wait"}
    assert demo.outcome["backfill"].keys() == views
    assert all(demo.outcome["backfill"].values())


def test_the_leak_looks_better_offline_and_is_worse_served(demo: Demo) -> None:
    right, wrong = demo.outcome["models"]["point_in_time"], demo.outcome["models"]["leaking"]
    assert wrong["train_auc"] > right["train_auc"]
    assert wrong["test_auc"] > right["test_auc"] + 0.1
    assert wrong["served_auc"] < right["served_auc"] - 0.03
    assert wrong["served_log_loss"] > right["served_log_loss"]
    assert right["served_auc"] == right["test_auc"]


def test_every_command_to_explore_with_works(demo: Demo) -> None:
    commands = demo.outcome["explore"]
    assert len(commands) == 5
    for command in commands:
        done = headrace(command, demo.parent)
        assert done.returncode == 0, (command, done.stderr)
        assert len(done.stdout.splitlines()) > 3
    again = demo.root / "training_sets" / "again" / "training_set.parquet"
    assert again.read_bytes() == (demo.root / "training_sets" / "train" / "training_set.parquet").read_bytes()


def test_personal_data_does_not_reach_silver(demo: Demo) -> None:
    landed = pl.read_csv(demo.root / "landing/driver_documents/*.csv", schema_overrides={"phone": pl.String})
    kept = pl.read_parquet(demo.root / "lake/silver/driver_documents/**/*.parquet")
    assert kept.height == landed.height
    assert kept["full_name"].null_count() == kept.height
    for column in ("phone", "licence_no"):
        assert kept[column].str.contains("^[0-9a-f]{64}$").all()
        assert kept[column].n_unique() == landed[column].n_unique()


def test_a_second_run_starts_anew_and_spares_what_is_not_its_own(demo: Demo) -> None:
    (demo.root / "notes.txt").write_text("mine")
    done = headrace(["demo", "demo", "--days", "2", "--drivers", "20"], demo.parent)
    outcome = json.loads((demo.root / "outcome.json").read_text())
    assert done.returncode == 0, done.stderr
    assert outcome["drivers"] == 20
    assert outcome["ingest"]["found"] == outcome["ingest"]["injected"]
    assert (demo.root / "notes.txt").read_text() == "mine"


def test_another_projects_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "headrace.toml").write_text('name = "mine"\n')
    done = headrace(["demo", "demo"], tmp_path)
    assert done.returncode == 1
    assert "holds something else than a demo" in done.stderr
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["headrace.toml"]
