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

from data_platform.demo.asking import serving

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


def test_the_server_answers_what_a_training_set_says(demo: Demo) -> None:
    served = demo.outcome["serve"]
    assert served["drivers"] > 20
    assert served["present"] > 4 * served["drivers"]
    assert served["differing"] == 0


def test_a_poisoned_afternoon_is_rejected_and_readers_keep_what_they_had(demo: Demo) -> None:
    poisoned = demo.outcome["poisoned"]
    assert poisoned["accepted"] == poisoned["accepted_in_truth"]
    (finding,) = poisoned["rejected"]
    assert finding["check"] == "speed_mean_5m between 0 and 35"
    assert finding["failing"] > 0.05 * finding["steps"]
    before, rejected, mended = (row[2:] for row in poisoned["rows"])
    assert before == rejected
    assert before[0] == 2
    assert mended[0] == 3
    assert all(0 < speed < 35 for _, speed in (before, mended))
    assert poisoned["checked"] > 100
    assert poisoned["differing"] == 0


def test_a_version_is_taken_back_and_then_made_right(demo: Demo) -> None:
    taken = demo.outcome["taken_back"]
    assert [version for _, version, _, _ in taken["rows"]] == [3, 4, 5, 6]
    before, spoilt, back, corrected = ((online, offline) for _, _, online, offline in taken["rows"])
    assert taken["rides"] > 1_000
    assert spoilt[0] < before[0] - 0.5
    assert before == back == corrected
    assert all(online == offline for online, offline in (before, spoilt, back, corrected))
    assert taken["rolled_back_differing"] == taken["corrected_differing"] == 0
    assert taken["held"] == "a bulk update set ratings to 1"


def test_every_view_is_verified(demo: Demo) -> None:
    assert demo.outcome["verify"].keys() == demo.outcome["backfill"].keys()
    for view, found in demo.outcome["verify"].items():
        assert found["comparisons"] >= found["online_comparisons"] > 100, view
        assert found["different"] == found["unexplained"] == 0, view


def test_every_command_to_explore_with_works(demo: Demo) -> None:
    *commands, serve = demo.outcome["explore"]
    assert len(commands) == 7
    for command in commands:
        done = headrace(command, demo.parent)
        assert done.returncode == 0, (command, done.stderr)
        assert len(done.stdout.splitlines()) > 3
    again = demo.root / "training_sets" / "again" / "training_set.parquet"
    assert again.read_bytes() == (demo.root / "training_sets" / "afternoon" / "training_set.parquet").read_bytes()
    assert serve == ["serve"]
    with serving(demo.root) as server:
        assert server.version("driver_rating") == demo.outcome["verify"]["driver_rating"]["version"]


def test_personal_data_does_not_reach_silver(demo: Demo) -> None:
    landed = pl.read_csv(demo.root / "landing/driver_documents/*.csv", schema_overrides={"phone": pl.String})
    kept = pl.read_parquet(demo.root / "lake/silver/driver_documents/**/*.parquet")
    assert kept.height == landed.height
    assert kept["full_name"].null_count() == kept.height
    for column in ("phone", "licence_no"):
        assert kept[column].str.contains("^[0-9a-f]{64}$").all()
        assert kept[column].n_unique() == landed[column].n_unique()


@pytest.mark.thorough
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
