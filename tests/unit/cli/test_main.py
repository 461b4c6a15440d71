"""The root command: help, suggestions, version."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from headrace.cli.commands import SECTIONS, SUMMARIES, LazyCommands
from headrace.cli.main import app

runner = CliRunner()


def test_help_lists_every_command_under_its_section() -> None:
    help_text = " ".join(runner.invoke(app, ["--help"]).stdout.split())
    for section, lines in SECTIONS.items():
        assert f"{section}:" in help_text
        assert all(f"{name} {line}" in help_text for name, line in lines.items())


@pytest.mark.parametrize("name", SUMMARIES)
def test_each_command_loads_under_its_name_and_explains_itself(name: str) -> None:
    command = LazyCommands()[name]
    assert command.name == name
    assert command.help


def test_an_unknown_command_is_answered_with_the_nearest_one() -> None:
    result = runner.invoke(app, ["statsu"])
    assert result.exit_code == 2
    assert "Did you mean 'status'?" in result.stderr


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).stdout == f"headrace {version('headrace')}\n"
