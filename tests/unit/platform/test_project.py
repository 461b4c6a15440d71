"""Definitions are loaded from the project's own folder, anew each time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.errors import DefinitionError, HeadraceError, SettingsError, UnknownNameError
from headrace.platform.project import load_definitions
from headrace.platform.settings import Settings

SOURCE = """\
import headrace as hr
from parts.sources import source

@hr.transform
def moving(rows):
    return rows

v = hr.FeatureView("{name}", entity=None, source=source, transform=moving, features={{"n": hr.count()}})
"""
PART = """\
import headrace as hr

source = hr.EventSource("{name}_rows", schema={{"ts": hr.Timestamp}}, event_time="ts")
"""


def project(root: Path, name: str) -> Path:
    (root / "parts").mkdir(parents=True)
    (root / "features.py").write_text(SOURCE.format(name=name))
    (root / "parts" / "sources.py").write_text(PART.format(name=name))
    return root


def load(root: Path, **settings: Any) -> Definitions:
    return load_definitions(root, Settings("p", **{"module": "features", **settings}))


@pytest.fixture(autouse=True)
def _restored_imports() -> object:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("features", "parts", "shared_name"):
            del sys.modules[name]


def test_two_projects_with_equal_module_names_do_not_mix(tmp_path: Path) -> None:
    one, two = project(tmp_path / "one", "one"), project(tmp_path / "two", "two")
    first, second, again = load(one), load(two), load(one)
    for definitions, name in ((first, "one"), (second, "two"), (again, "one")):
        assert list(definitions.views) == [name]
        assert list(definitions.sources) == [f"{name}_rows"]
    assert first.view("one").transform is not None
    assert sys.path[0] == str(one)
    assert str(two) not in sys.path


def test_an_edit_is_seen_at_once(tmp_path: Path) -> None:
    root = project(tmp_path / "one", "one")
    assert list(load(root).sources) == ["one_rows"]
    (root / "parts" / "sources.py").write_text(PART.format(name="two"))  # same length, same second
    assert list(load(root).sources) == ["two_rows"]
    assert not list(root.rglob("__pycache__"))


def test_a_module_of_that_name_from_elsewhere_is_not_taken(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    for folder, name in ((elsewhere, "wrong"), (root, "right")):
        folder.mkdir()
        (folder / "shared_name.py").write_text(PART.format(name=name))
    sys.path.insert(0, str(elsewhere))
    __import__("shared_name")
    assert list(load(root, module="shared_name").sources) == ["right_rows"]


def test_a_module_that_a_program_imported_itself_is_the_same_one(tmp_path: Path) -> None:
    root = project(tmp_path / "one", "one")
    sys.path.insert(0, str(root))
    features = __import__("features")
    assert load(root).view("one") is features.v


def test_an_installed_module_can_be_named(tmp_path: Path) -> None:
    found = load(tmp_path, module="tests.unit.definitions.examples")
    assert "driver_now" in found.views


def test_yaml_names_functions_of_the_project(tmp_path: Path) -> None:
    root = project(tmp_path / "one", "one")
    (root / "more.yaml").write_text(
        "sources:\n  logs: {schema: {ts: Timestamp}, event_time: ts}\n"
        "views:\n  second: {entity: null, source: logs, features: {n: count}, transform: features.moving}\n"
    )
    found = load(root, yaml="more.yaml")
    assert list(found.views) == ["one", "second"]
    assert found.view("second").transform == found.view("one").transform


WRONG: dict[str, tuple[str, type[HeadraceError], str]] = {
    "a definition": (
        'import headrace as hr\n\nhr.EventSource("s", schema={"ts": hr.Timestamp}, event_time="tz")\n',
        UnknownNameError,
        r"features.py, line 3: source 's': there is no column 'tz'",
    ),
    "syntax": ("x = 1\ny = = 2\n", DefinitionError, r"features.py, line 2: invalid syntax"),
    "an import": (
        "\nimport nowhere_at_all\n",
        DefinitionError,
        r"features.py, line 2: No module named 'nowhere_at_all'",
    ),
    "an import of a name": (
        "from parts.sources import sauce\n",
        DefinitionError,
        r"features.py, line 1: ImportError: cannot import name 'sauce'",
    ),
    "anything else": (
        "def f():\n    return 1 / 0\n\nf()\n",
        DefinitionError,
        r"line 2: ZeroDivisionError: division by zero",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, case: str) -> None:
    text, error, message = WRONG[case]
    root = project(tmp_path / "one", "one")
    (root / "features.py").write_text(text)
    with pytest.raises(error, match=message):
        load(root)


def test_a_mistake_in_yaml_is_named_with_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("sources:\n  s: {schema: {ts: Date}, event_time: tz}\n")
    with pytest.raises(UnknownNameError, match=r"sources.s \(f.yaml, line 2\): source 's': there is no column 'tz'"):
        load(tmp_path, module="", yaml="f.yaml")


@pytest.mark.parametrize("settings", [{"module": "nowhere"}, {"module": "no.where"}, {"module": "", "yaml": "no.yaml"}])
def test_a_missing_file_is_a_matter_of_settings(tmp_path: Path, settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=r"headrace.toml"):
        load(tmp_path, **settings)


def test_both_kinds_of_one_name_are_refused_unless_equal(tmp_path: Path) -> None:
    root = project(tmp_path / "one", "one")
    (root / "f.yaml").write_text("sources:\n  one_rows: {schema: {ts: Timestamp, x: Int8}, event_time: ts}\n")
    with pytest.raises(DefinitionError, match="two different definitions of source 'one_rows'"):
        load(root, yaml="f.yaml")
    (root / "f.yaml").write_text("sources:\n  one_rows: {schema: {ts: Timestamp}, event_time: ts}\n")
    assert load(root, yaml="f.yaml").source("one_rows").schema == {"ts": hr.Timestamp}
