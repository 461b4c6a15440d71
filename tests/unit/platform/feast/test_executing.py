"""Running a repository's files before a stand-in for Feast, and leaving no trace of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.errors import DefinitionError, SettingsError
from headrace.platform.feast.executing import read_repository, repository_files
from headrace.platform.feast.importing import import_feast
from tests.unit.platform.feast.repositories import repository


def test_what_feastignore_names_is_not_run(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", **{
        ".feastignore": "# comment\nold/\nscratch.py  # not this\n", "old/a.py": "1 / 0", "scratch.py": "1 / 0",
        "package/__init__.py": "1 / 0", ".venv/b.py": "1 / 0", "good.py": "x = 1",
    })  # fmt: skip
    assert [path.name for path in repository_files(root)] == ["good.py"]
    assert read_repository(root).objects == ()


def test_a_file_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", **{"bad.py": "import feast\n\nx = 1\nx = x / 0\n"})
    with pytest.raises(DefinitionError, match=r"bad.py, line 4: ZeroDivisionError: division by zero\. Mend it"):
        read_repository(root)


def test_a_library_that_is_missing_is_named(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", **{"bad.py": "import no_such_library\n"})
    with pytest.raises(DefinitionError, match=r"line 1: ModuleNotFoundError.*install it beside headrace"):
        read_repository(root)


@pytest.mark.parametrize("text", ["x = (\n", "raise SystemExit(3)\n"])
def test_other_ways_to_end_are_told_too(tmp_path: Path, text: str) -> None:
    root = repository(tmp_path / "repo", **{"bad.py": text})
    with pytest.raises(DefinitionError, match=r"bad\.py, line 1"):
        read_repository(root)


def test_nothing_stays_of_it(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", **{
        "json.py": "x = 1\n",
        "conftest.py": "import feast.some.thing\nfrom feast import Entity\ne = Entity(name='e')\n",
    })  # fmt: skip
    before, path, finders, folder = dict(sys.modules), list(sys.path), list(sys.meta_path), Path.cwd()
    found = read_repository(root)
    assert [item.given for item in found.objects] == [{"name": "e"}]
    assert "feast" not in sys.modules
    assert (list(sys.path), list(sys.meta_path), Path.cwd()) == (path, finders, folder)
    assert all(sys.modules[name] is module for name, module in before.items())


def test_unknown_names_of_feast_are_remembered(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", **{"new.py": (
        "from feast.future import Flux, tuned\n"
        "@tuned(speed=3)\ndef f(x): return x\n"
        "flux = Flux('a', mode=Flux.FAST)\nfor part in flux: pass\nflux.extra = 1\nassert flux.mode\n"
    )})  # fmt: skip
    made = import_feast(root, tmp_path / "out")
    assert "headrace knows nothing of Feast's Flux. (new.py:4)" in made.report.markdown()


def test_no_repository_and_a_project_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no Feast repository: feature_store.yaml can't be read"):
        read_repository(tmp_path)
    root = repository(tmp_path / "repo", **{"a.py": "x = 1"})
    with pytest.raises(SettingsError, match=r"lies in the Feast repository"):
        import_feast(root, root / "shop")
    import_feast(root, tmp_path / "out")
    with pytest.raises(SettingsError, match=r"already has headrace.toml"):
        import_feast(root, tmp_path / "out")
