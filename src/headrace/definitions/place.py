"""Where in a document a value stands, and plain values read there with a helpful error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from headrace.errors import DefinitionError, HeadraceError, UnknownNameError

Path = tuple[str | int, ...]


def _nowhere(_: Path) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document of definitions.

    Parameters
    ----------
    path : tuple of str and int
        The keys and indexes that lead there.
    locate : callable
        What to add about a path, such as its line.

    Examples
    --------
    >>> print(Place() / "views" / "driver_now" / "checks" / 0)
    views.driver_now.checks[0]
    """

    path: Path = ()
    locate: Callable[[Path], str] = _nowhere

    def __truediv__(self, key: str | int) -> Place:
        """The place of a key or an index inside of this one."""
        return replace(self, path=(*self.path, key))

    def __str__(self) -> str:
        """The path as people write it, and what `locate` knows of it."""
        steps = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        return (steps.removeprefix(".") or "the document") + self.locate(self.path)

    def error(self, message: str) -> DefinitionError:
        """An error about this place."""
        return DefinitionError(f"{self}: {message}")

    def unknown(self, what: str, name: object, known: Iterable[str]) -> UnknownNameError:
        """An error about a name that is not known here, with the nearest right one."""
        return UnknownNameError.of(what, str(name), known, str(self))

    @contextmanager
    def named(self) -> Iterator[None]:
        """Begin the message of an error raised inside with this place."""
        try:
            yield
        except HeadraceError as error:
            raise type(error)(f"{self}: {error}") from error


def mapping_at(value: object, place: Place) -> Mapping[str, Any]:
    """A mapping whose keys are text."""
    if not isinstance(value, Mapping):
        raise place.error(f"expected a mapping of names to values, found {value!r}.")
    for key in value:
        if not isinstance(key, str):
            raise place.error(f"the key {key!r} is no text: put it in quotes.")
    return value


def list_at(value: object, place: Place) -> list[Any]:
    """A list."""
    if not isinstance(value, list | tuple):
        raise place.error(f"expected a list, found {value!r}.")
    return list(value)


def text_at(value: object, place: Place) -> str:
    """A text."""
    if not isinstance(value, str):
        raise place.error(f"expected text, found {value!r}: put it in quotes.")
    return value


def flag_at(value: object, place: Place) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise place.error(f"expected true or false, found {value!r}.")
    return value


def number_at(value: object, place: Place) -> int | float:
    """A number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise place.error(f"expected a number, found {value!r}.")
    return value


def whole_at(value: object, place: Place) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise place.error(f"expected a whole number, found {value!r}.")
    return value
