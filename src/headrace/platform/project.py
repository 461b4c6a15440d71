"""Loading a project's definitions from its own folder.

The folder is put first on the import path and stays there, so that functions may import from it
later. Modules of another project that were loaded before make room: their functions live on, but a
new import finds the new project's files.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from types import ModuleType

from headrace.definitions.project import Definitions
from headrace.definitions.yaml import from_yaml
from headrace.errors import DefinitionError, HeadraceError, SettingsError
from headrace.platform.settings import FILE_NAME, Settings

_lock = RLock()
_loaded: dict[Path, set[str]] = {}
"""The project whose folder is on the import path, and the modules that were imported from it."""


def load_definitions(root: Path, settings: Settings) -> Definitions:
    """Load the definitions of a project: its module's, its YAML file's, or both.

    Each call reads the files anew.

    Raises
    ------
    DefinitionError
        If a definition is wrong, or the module can't be imported: with the file and the line.
    SettingsError
        If the module or the file does not exist.
    """
    root = root.resolve()
    with _lock, _imports_from(root, settings.module.partition(".")[0]):
        found = list(vars(_import(root, settings.module)).values()) if settings.module else []
        if settings.yaml:
            found += _from_file(root / settings.yaml)
    return Definitions.of(found)


@contextmanager
def _imports_from(root: Path, package: str) -> Iterator[None]:
    _forget_loaded()
    _forget_foreign(root, package)
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    present = set(sys.modules)
    # A compiled copy is recognised by its source's size and second: an edit may have changed neither.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        _loaded[root] = {name for name in set(sys.modules) - present if _is_own(sys.modules[name], root)}


def _forget_loaded() -> None:
    for root, names in _loaded.items():
        for name in names:
            sys.modules.pop(name, None)
        if str(root) in sys.path:
            sys.path.remove(str(root))
    _loaded.clear()


def _forget_foreign(root: Path, package: str) -> None:
    exists_here = (root / f"{package}.py").exists() or (root / package).is_dir()
    if package in sys.modules and exists_here and not _is_own(sys.modules[package], root):
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]


def _is_own(module: ModuleType, root: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(root) and "site-packages" not in Path(file).parts


def _import(root: Path, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except HeadraceError as error:
        raise type(error)(f"{_line_in(error, root)}{error}") from error
    except SyntaxError as error:
        raise DefinitionError(f"{error.filename}, line {error.lineno}: {error.msg}.") from error
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SettingsError(
                f"{root / FILE_NAME}: module = '{name}': there is no such module in {root}. "
                "Make it, or name the one with the definitions."
            ) from error
        raise DefinitionError(f"{_line_in(error, root)}{error}.") from error
    except Exception as error:
        raise DefinitionError(f"{_line_in(error, root)}{type(error).__name__}: {error}") from error


def _line_in(error: BaseException, root: Path) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(root)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def _from_file(file: Path) -> list[object]:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file} can't be read: {error.strerror}. Check yaml = … in {FILE_NAME}.") from error
    except UnicodeDecodeError as error:
        raise DefinitionError(f"{file} is no UTF-8 text: {error}.") from error
    found = from_yaml(text, name=file.name)
    kinds = (found.entities, found.sources, found.views, found.on_demand, found.services)
    return [item for kind in kinds for item in kind.values()]
