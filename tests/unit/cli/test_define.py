"""``headrace init``, ``plan`` and ``apply``, as a person runs them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app

runner = CliRunner()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "city"
    assert run("init", str(folder)).exit_code == 0
    return folder


def run(*arguments: str) -> Result:
    return runner.invoke(app, arguments)


def test_init_says_what_it_wrote_and_what_to_do_next(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    shown = run("init", str(folder)).stdout
    assert f"wrote {folder / 'headrace.toml'}" in shown
    assert f"Next: cd {folder} && headrace apply" in shown


def test_init_leaves_a_project_alone(project: Path) -> None:
    again = run("init", str(project))
    assert again.exit_code == 1
    assert "already has headrace.toml" in again.stderr


def test_plan_shows_what_apply_then_does(project: Path) -> None:
    planned = run("plan", "--project", str(project))
    assert planned.stdout.splitlines() == [
        "+ entity driver",
        "+ source pings",
        "+ view driver_now  (new definition, nothing to backfill yet)",
        "+ service eta_model",
        "4 created.",
    ]
    assert run("apply", "--project", str(project)).stdout == planned.stdout
    assert run("plan", "--project", str(project)).stdout == "Nothing would change.\n"
    assert run("apply", "--project", str(project)).stdout == "Nothing changed.\n"


def test_a_change_is_shown_with_its_fields(project: Path) -> None:
    run("apply", "--project", str(project))
    features = project / "features.py"
    features.write_text(features.read_text().replace('hop="5m"', 'hop="6m"'))
    assert run("plan", "--project", str(project)).stdout.splitlines() == [
        "~ view driver_now  (new definition, nothing to backfill yet)",
        '    features.speed_mean_30m.window.hop: "5m" → "6m"',
        "1 changed, 3 unchanged.",
    ]


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    result = run("plan", "--project", str(tmp_path))
    assert result.exit_code == 1
    assert "is no headrace project" in result.stderr
