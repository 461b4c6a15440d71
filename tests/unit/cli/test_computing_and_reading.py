"""The way from files to a training set by commands alone, in the project that `headrace init` writes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app

NOON = "2026-01-05T12:00:00Z"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project") / "city"
    for command in (["init", str(root)], ["apply"], ["ingest"], ["backfill"]):
        done = run(*command, *([] if command[0] == "init" else ["--project", str(root)]))
        assert done.exit_code == 0, done.output
    return root


def test_backfill_says_what_it_did_and_does_nothing_twice(project: Path) -> None:
    line = next(line for line in run("backfill", "-p", str(project)).stdout.splitlines() if "driver_now" in line)
    assert "2026-01-06T00:00:00Z" in line
    again = run("backfill", "driver_now", "--start", "2026-01-05", "--end", "2026-01-06", "-p", str(project))
    assert again.exit_code == 0
    assert "288" in again.stdout


def test_history_shows_the_newest_steps(project: Path) -> None:
    done = run("history", "driver_now", "driver_id=101", "-n", "3", "--end", NOON, "-p", str(project))
    assert done.exit_code == 0
    assert "the last 3 of" in done.stdout
    assert len(done.stdout.splitlines()) == 5
    assert all("2026-01-05 11:" in line for line in done.stdout.splitlines()[2:])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([], "Its key 'driver_id' is missing"),
        (["driver=1"], "Did you mean 'driver_id'?"),
        (["driver_id=x"], "no Int64"),
    ],
)
def test_history_of_no_entity(project: Path, key: list[str], message: str) -> None:
    done = run("history", "driver_now", *key, "-p", str(project))
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())


def test_a_key_without_a_value_is_a_usage_error(project: Path) -> None:
    done = run("history", "driver_now", "101", "-p", str(project))
    assert done.exit_code == 2
    assert "write e.g. driver_id=101" in done.stderr


def test_snapshot_of_all_entities_and_of_a_file(project: Path, tmp_path: Path) -> None:
    shown = run("snapshot", "eta_model", "--at", NOON, "-p", str(project))
    assert [line.split()[0] for line in shown.stdout.splitlines()[-3:]] == ["101", "102", "103"]
    (tmp_path / "one.csv").write_text("driver_id\n102\n")
    out = tmp_path / "one.parquet"
    done = run("snapshot", "eta_model", "--at", NOON, "--entities", str(tmp_path / "one.csv"), "--out", str(out),
               "-p", str(project))  # fmt: skip
    assert done.exit_code == 0
    assert pl.read_parquet(out)["driver_id"].to_list() == [102]


def test_a_training_set_and_the_same_bytes_again(project: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    made = run(
        "training-set", str(project / "labels.csv"), "eta_model", "--statuses", "--to", str(one), "-p", str(project)
    )
    assert made.exit_code == 0, made.output
    assert "driver_now__status__status" in made.stdout
    again = run("training-set", "--from-manifest", str(one), "--to", str(two), "-p", str(project))
    assert again.exit_code == 0, again.output
    name = "training_set.parquet"
    assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("arguments", [[], ["labels.csv"], ["--from-manifest", "x"]])
def test_a_training_set_of_nothing_is_a_usage_error(project: Path, arguments: list[str]) -> None:
    assert run("training-set", *arguments, "-p", str(project)).exit_code == 2
