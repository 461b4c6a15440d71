"""A new project is small, and runs as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.definitions.yaml import from_yaml, to_yaml
from headrace.errors import SettingsError
from headrace.platform import Platform
from headrace.platform.init import init


def test_a_new_project_can_be_applied(tmp_path: Path) -> None:
    files = init(tmp_path / "city")
    platform = Platform.open(tmp_path / "city")
    assert all(file.is_file() for file in files)
    assert platform.context.settings.name == "city"
    assert [change.kind for change in platform.apply().of("created")] == ["entity", "source", "view", "service"]
    assert platform.plan().is_empty


def test_its_data_is_where_its_definitions_look(tmp_path: Path) -> None:
    init(tmp_path)
    source = Platform.open(tmp_path).definitions.source("pings")
    assert source.batch is not None
    (file,) = tmp_path.glob(source.batch.pattern)
    header, *rows = file.read_text().splitlines()
    assert header.split(",") == list(source.schema)
    assert len(rows) == len(set(rows)) == 288


def test_its_definitions_can_be_yaml(tmp_path: Path) -> None:
    init(tmp_path)
    definitions = Platform.open(tmp_path).definitions
    assert from_yaml(to_yaml(definitions)) == definitions


def test_a_name_with_quotes_is_kept(tmp_path: Path) -> None:
    init(tmp_path / 'a "b" ü')
    assert Platform.open(tmp_path / 'a "b" ü').context.settings.name == 'a "b" ü'


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("mine")
    with pytest.raises(SettingsError, match=r"already has features.py. Choose another folder"):
        init(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["features.py"]
    assert (tmp_path / "features.py").read_text() == "mine"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "city").write_text("a file")
    with pytest.raises(SettingsError, match="city can't be written: "):
        init(tmp_path / "city")
