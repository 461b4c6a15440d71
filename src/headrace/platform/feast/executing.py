"""A Feast repository's own Python files, run as ``feast apply`` runs them, before the stand-in for Feast."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any, Final

from headrace.errors import DefinitionError, SettingsError
from headrace.platform.feast.recording import PACKAGE, Recorded, stand_in_for

SETTINGS: Final = "feature_store.yaml"
_ALWAYS_IGNORED: Final = (
    ".git",
    ".feastignore",
    ".venv",
    "**/.ipynb_checkpoints",
    "**/.pytest_cache",
    "**/__pycache__",
)
_lock = RLock()


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository's files made.

    Parameters
    ----------
    root : Path
        Its folder.
    settings : mapping
        Its ``feature_store.yaml``.
    objects : tuple of Recorded
    What its modules name
    modules : mapping of Path to ModuleType
        The files that were run.
    """

    root: Path
    settings: Mapping[str, Any]
    objects: tuple[Recorded, ...]
    modules: Mapping[Path, ModuleType]

    def of_kind(self, *kinds: str) -> list[Recorded]:
        """The objects of some of Feast's classes."""
        return [item for item in self.objects if item.kind in kinds]


def read_repository(root: Path) -> Repository:
    """Run a repository's files. This executes them: read only what you trust.

    Raises
    ------
    SettingsError
        If there is no ``feature_store.yaml``, or it can't be read.
    DefinitionError
        If a file raises: with its name and the line.
    """
    root = root.resolve()
    settings = _settings(root)
    files = repository_files(root)
    with _lock, _stand_in(root, files):
        modules = {file: _run(root, file) for file in files}
    return Repository(root, settings, _objects(modules.values()), modules)


def repository_files(root: Path) -> list[Path]:
    """The Python files that ``feast apply`` reads: all but those that ``.feastignore`` names."""
    found = {path.resolve() for path in root.glob("**/*.py") if path.is_file() and path.name != "__init__.py"}
    for pattern in (*_ignored(root / ".feastignore"), *_ALWAYS_IGNORED):
        for path in root.glob(pattern.rstrip("/")):
            found -= {path.resolve()} if path.is_file() else {inner.resolve() for inner in path.glob("**/*.py")}
    return sorted(found)


def _ignored(file: Path) -> list[str]:
    if not file.is_file():
        return []
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def _settings(root: Path) -> Mapping[str, Any]:
    import yaml

    file = root / SETTINGS
    try:
        found = yaml.safe_load(os.path.expandvars(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(
            f"{root} is no Feast repository: {SETTINGS} can't be read ({error.strerror}). Name the folder that has it."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is no YAML: {error}.") from error
    return found if isinstance(found, dict) else {}


def _run(root: Path, file: Path) -> ModuleType:
    name = ".".join(file.relative_to(root).with_suffix("").parts)
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        raise DefinitionError(f"{error.filename}, line {error.lineno}: {error.msg}.") from error
    except (Exception, SystemExit) as error:
        raise DefinitionError(
            f"{_line(error, root, file)}: {type(error).__name__}: {error}.{_advice(error)}"
        ) from error


def _line(error: BaseException, root: Path, file: Path) -> str:
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else str(file)


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f" The file needs '{error.name}': install it beside headrace, or name the file in .feastignore."
    return " Mend it, or name the file in .feastignore."


def _objects(modules: Any) -> tuple[Recorded, ...]:
    found: dict[int, Recorded] = {}
    for module in modules:
        for name in sorted(vars(module)):
            item = vars(module)[name]
            if isinstance(item, Recorded):
                found.setdefault(id(item), item)
    return tuple(sorted(found.values(), key=lambda item: item.place))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``feast`` and whatever is imported from below it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A package, for any name of Feast's."""
        if fullname.partition(".")[0] != PACKAGE:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        """A module that has every name."""
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = stand_in_for(self.__name__, name)
        setattr(self, name, found)
        return found


@contextmanager
def _stand_in(root: Path, files: Sequence[Path]) -> Iterator[None]:
    """Put the stand-in where Feast is looked for, and all back as it was at the end."""
    tops = {file.relative_to(root).parts[0].removesuffix(".py") for file in files} - set(sys.stdlib_module_names)
    aside = {name: m for name, m in sys.modules.items() if name.partition(".")[0] in {PACKAGE, *tops}}
    for name in aside:
        del sys.modules[name]
    present, before, folder = set(sys.modules), sys.dont_write_bytecode, Path.cwd()
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode = True
    os.chdir(root)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        os.chdir(folder)
        sys.dont_write_bytecode = before
        sys.path.remove(str(root))
        sys.meta_path.remove(finder)
        for name in [n for n in sys.modules if n not in present and n.partition(".")[0] in {PACKAGE, *tops}]:
            del sys.modules[name]
        sys.modules.update(aside)
