"""A stand-in for the package ``feast``: each thing that a repository makes of it remembers what it was given.

Nothing of Feast is imported. Any name of it can be imported; what is not known is remembered too, and reported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

PACKAGE: Final = "feast"
POSITIONS: Final = {
    "Field": ("name", "dtype"), "Array": ("base_type",), "Set": ("base_type",), "Struct": ("fields",),
    "Aggregation": ("column", "function", "time_window", "slide_interval", "name"),
    "AvroFormat": ("schema_json",), "ProtoFormat": ("class_path",), "JsonFormat": ("schema_json",),
    "RequestSource": ("name", "schema"),
}  # fmt: skip
"""What Feast's classes call the arguments that are given by place."""
DECORATORS: Final = {
    "on_demand_feature_view": "OnDemandFeatureView",
    "stream_feature_view": "StreamFeatureView",
    "batch_feature_view": "BatchFeatureView",
}
"""Decorators, and what the function becomes."""


class _Named(type):
    """Classes of the stand-in: a member of one, such as ``ValueType.INT64``, is remembered by its name."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return made(f"{cls.__name__}.{name}")


class Recorded(metaclass=_Named):
    """One object of a repository.

    Parameters
    ----------
    *arguments, **named
        Whatever Feast's own class takes.

    Attributes
    ----------
    kind : str
        The name of Feast's class.
    given : dict
        What it was given, by name.
    place : tuple of str and int
        The file and the line where it was made.
    """

    kind: str
    given: dict[str, Any]
    place: tuple[str, int]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        kind = type(self).__name__
        positions = POSITIONS.get(kind, ())
        by_place = {positions[i] if i < len(positions) else f"argument {i}": a for i, a in enumerate(arguments)}
        _remember(self, kind, {**by_place, **named})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("kind", "given", "place"):
            raise AttributeError(name)
        return self.given[name] if name in self.given else made(f"{self.kind}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        self.given[name] = value

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """A method of an unknown object, or a decorator: it gives another one."""
        return made(f"{self.kind}()", {"arguments": arguments, **named})

    def __getitem__(self, names: Any) -> Any:
        """``view[["a", "b"]]``."""
        return made("Projection", {"view": viewed(self), **_projected(self), "names": list(names)})

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __repr__(self) -> str:
        return f"<{self.kind} {self.given.get('name', '')}>"

    @property
    def with_name(self) -> Callable[[str], Any]:
        """Feast's ``view.with_name("other")``."""
        return lambda name: _renamed(self, "alias", name)

    @property
    def with_join_key_map(self) -> Callable[[dict[str, str]], Any]:
        """Feast's ``view.with_join_key_map({"driver_id": "courier_id"})``."""
        return lambda join_key_map: _renamed(self, "keys", join_key_map)

    @property
    def projection(self) -> Any:
        """A view as what a service takes of it."""
        return made("Projection", {"view": viewed(self), **_projected(self)})


def made(kind: str, given: dict[str, Any] | None = None) -> Recorded:
    """An object of the stand-in that no class of it was called for."""
    item = Recorded.__new__(Recorded)
    _remember(item, kind, dict(given or {}))
    return item


def viewed(item: Recorded) -> Recorded:
    """The view that a projection is of; a view itself."""
    found: Recorded = item.given["view"] if item.kind == "Projection" else item
    return found


def kind_of(value: Any) -> str:
    """The last word of what something is called in Feast: ``INT64`` of ``ValueType.INT64``."""
    if isinstance(value, Recorded):
        return value.kind.rpartition(".")[2]
    return value.__name__ if isinstance(value, type) else str(value)


def stand_in_for(module: str, name: str) -> Any:
    """What ``from feast.module import name`` gives."""
    if name in DECORATORS:
        return _decorator(DECORATORS[name])
    return _Named(name, (Recorded,), {"__module__": module})


def _remember(item: Recorded, kind: str, given: dict[str, Any]) -> None:
    object.__setattr__(item, "kind", kind)
    object.__setattr__(item, "given", given)
    object.__setattr__(item, "place", _caller())


def _caller() -> tuple[str, int]:
    frame = sys._getframe(1)  # noqa: SLF001 - the line of the user's file is what a report has to name
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _renamed(item: Recorded, role: str, value: Any) -> Recorded:
    return made("Projection", {"view": viewed(item), **_projected(item), role: value})


def _projected(item: Recorded) -> dict[str, Any]:
    return {k: v for k, v in item.given.items() if k in ("names", "alias", "keys")} if item.kind == "Projection" else {}


def _decorator(kind: str) -> Callable[..., Any]:
    def configured(**given: Any) -> Callable[[Callable[..., Any]], Recorded]:
        place = _caller()

        def wrap(function: Callable[..., Any]) -> Recorded:
            item = made(kind, {"name": function.__name__, **{k: v for k, v in given.items() if v is not None}})
            item.given["udf"] = function
            object.__setattr__(item, "place", place)
            return item

        return wrap

    return configured
