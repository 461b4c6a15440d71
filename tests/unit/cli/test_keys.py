"""``headrace keys``: a key is printed once."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli.keys import app
from headrace.errors import TimeError, UnknownNameError
from headrace.server.security.keys import KEY_LENGTH
from headrace.server.security.keys_file import read_keys
from headrace.types import DAY, instant
from tests.integration.serving import FEATURES

runner = CliRunner()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "headrace.toml").write_text(
        'name = "city"\nmodule = "features"\n[serve]\nkeys = "own.json"\nother = 1\n'
    )
    (tmp_path / "features.py").write_text(FEATURES)
    return tmp_path


def run(project: Path, *arguments: str) -> Result:
    return runner.invoke(app, [*arguments, "--project", str(project)], env={"COLUMNS": "200"})


def test_a_new_key_is_printed_alone_and_once(project: Path) -> None:
    made = run(project, "new", "--service", "model", "--right", "read", "--expires", "90d", "--note", "the eta service")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    assert len(secret) == KEY_LENGTH
    assert "from now on nobody is answered without one" in made.stderr
    assert secret not in made.stderr
    (key,) = read_keys(project / "own.json")
    assert (key.services, key.rights, key.note) == (["model"], ["read"], "the eta service")
    assert key.ends_us - instant(key.created_at) == 90 * DAY
    listed = run(project, "list").stdout
    assert all(word in listed for word in (key.id, "valid", "read", "model", "the eta service"))
    assert secret[16:] not in listed
    assert key.sha256 not in listed


def test_by_default_a_key_reads_all_services_for_ever(project: Path) -> None:
    run(project, "new")
    listed = run(project, "list").stdout
    assert "all" in listed
    assert "never" in listed


def test_a_key_is_rotated_and_revoked(project: Path) -> None:
    run(project, "new", "--right", "push", "--right", "read")
    old = read_keys(project / "own.json")[0].id
    made = run(project, "rotate", old, "--overlap", "1h")
    assert len(made.stdout.strip()) == KEY_LENGTH
    assert run(project, "revoke", old).stdout.startswith(f"The key {old} is revoked since ")
    assert [key.revoked_at is None for key in read_keys(project / "own.json")] == [False, True]
    assert "revoked" in run(project, "list").stdout


def test_without_keys_that_is_said(project: Path) -> None:
    assert "headrace keys new" in run(project, "list").stdout


def test_what_is_not_there_is_told(project: Path) -> None:
    assert isinstance(run(project, "new", "--service", "modle").exception, UnknownNameError)
    assert isinstance(run(project, "new", "--expires", "soon").exception, TimeError)
    assert isinstance(run(project, "revoke", "0" * 12).exception, UnknownNameError)
    assert run(project, "new", "--right", "fly").exit_code == 2
    assert not (project / "own.json").exists()
