"""Functions named by their dotted path, in documents and where they are imported from."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from headrace.definitions.forms import TEXT, Form
from headrace.definitions.place import Place, mapping_at, text_at
from headrace.definitions.transforms import OnDemand, Transform, dotted_path
from headrace.errors import DefinitionError, UnknownNameError

Resolve = Callable[[str], Any]
"""From a dotted path to what is there."""


def function_at(path: str) -> Any:
    """What a dotted path names.

    Raises
    ------
    UnknownNameError
        If the module has no such name.
    DefinitionError
        If there is no such module.

    Examples
    --------
    >>> function_at("math.sqrt")(9)
    3.0
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise DefinitionError(f"'{path}' is no dotted path: write module.function.")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise DefinitionError(f"'{path}': there is no module '{error.name}' to import it from.") from error
    if not hasattr(module, name):
        raise UnknownNameError.of("function", name, (key for key in vars(module) if key[0] != "_"), module_name)
    return getattr(module, name)


def function_form(resolve: Resolve) -> Form:
    """A plain function; what was decorated at the path is unwrapped."""

    def read(value: Any, place: Place) -> Any:
        found = _found(text_at(value, place), place, resolve)
        return found.function if isinstance(found, OnDemand | Transform) else found

    return Form(dotted_path, read)


def transform_form(resolve: Resolve) -> Form:
    """A transform: its path, or its path and version."""

    def write(item: Transform) -> Any:
        return {"function": item.path, "version": item.version} if item.version else item.path

    def read(value: Any, place: Place) -> Transform:
        given = {"function": value} if isinstance(value, str) else mapping_at(value, place)
        for key in given:
            if key not in ("function", "version"):
                raise place.unknown("key", key, ("function", "version"))
        found = _found(text_at(given.get("function"), place / "function"), place, resolve)
        version = TEXT.read(given["version"], place / "version") if "version" in given else None
        if isinstance(found, Transform):
            return found if version in (None, found.version) else Transform(found.function, version or "", found.path)
        return Transform(found, version or "")

    return Form(write, read)


def _found(path: str, place: Place, resolve: Resolve) -> Any:
    with place.named():
        found = resolve(path)
    if not callable(found):
        raise place.error(f"'{path}' is {type(found).__name__}, not a function.")
    return found
