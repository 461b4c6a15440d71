"""``headrace push``, as a person sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app
from tests.streaming import as_json, pings, project


class City:
    """A project whose source has a stream of files, and pushes into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        project(root)

    def push(self, *arguments: str, text: bytes = b"") -> Result:
        command = ["push", "gps", *arguments, "--project", str(self.root)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "240"}, input=text)

    def lines(self) -> int:
        return sum(file.read_bytes().count(b"\n") for file in (self.root / "in").glob("*.jsonl"))


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


def test_a_file_is_pushed(city: City) -> None:
    file = city.root / "rows.jsonl"
    file.write_bytes(b"\n".join(map(as_json, pings(10))))
    result = city.push(str(file))
    assert result.exit_code == 0, result.output
    assert "files 'in/*.jsonl'" in result.stdout
    assert city.lines() == len(pings(10))


def test_what_is_piped_in_is_pushed_and_waiting_without_a_stream_fails(city: City) -> None:
    result = city.push("-", "--wait", "5", text=as_json(pings(1)[0]) + b"\n")
    assert result.exit_code == 1
    assert "Not served yet: no stream of 'gps' has run yet" in result.stderr
    assert city.lines() == 1


def test_refused_rows_are_told_by_number(city: City) -> None:
    good = as_json(pings(1)[0])
    text = good + b"\nnothing\n" + b"".join([b'{"speed": 99}\n'] * 30)
    result = city.push("-", text=text)
    assert result.exit_code == 1
    assert "row 2: no row" in result.stderr
    assert "row 3, column 'event_id': null" in result.stderr
    assert "more" in result.stderr
    assert city.lines() == 0
    result = city.push("-", "--partial", text=text)
    assert result.exit_code == 0, result.output
    assert city.lines() == 1


def test_columns_that_are_not_declared_are_told(city: City) -> None:
    row = as_json(pings(1)[0]).replace(b'"zone"', b'"region"')
    result = city.push("-", text=row)
    assert "column 'region' is not declared" in result.stderr
    assert "no row has zone" in result.stderr
