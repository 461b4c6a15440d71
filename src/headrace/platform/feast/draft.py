"""A project that is being written: its definitions by section, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.platform.feast.code import Variables, plain_name, sequence, text
from headrace.platform.feast.columns import Origin
from headrace.platform.feast.executing import Repository
from headrace.platform.feast.functions import Surroundings
from headrace.platform.feast.recording import Recorded
from headrace.platform.feast.report import LEFT_OUT, Report
from headrace.types import DataType


@dataclass(frozen=True, slots=True)
class View:
    """A view that came along.

    Parameters
    ----------
    item : Recorded
        Feast's.
    name, variable : str
        What it is called, and its variable in the definitions.
    features : mapping of str to str
        For a name of Feast's, the name here.
    types : mapping of str to DataType
        For a name of Feast's, its type.
    missing : mapping of str to str
        For those that stayed behind, why.
    """

    item: Recorded
    name: str
    variable: str
    features: Mapping[str, str]
    types: Mapping[str, DataType]
    missing: Mapping[str, str]


@dataclass(slots=True)
class Draft:
    """What is known and written so far."""

    repository: Repository
    report: Report
    surroundings: Surroundings
    variables: Variables = field(default_factory=lambda: Variables({"hr", "pl"}))
    entities: dict[tuple[str, ...], str] = field(default_factory=dict)  # by names and types of their keys
    origins: dict[int, Origin] = field(default_factory=dict)
    source_variables: dict[int, str] = field(default_factory=dict)
    views: dict[int, View] = field(default_factory=dict)
    on_demand: dict[int, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    names: dict[tuple[str, str], Recorded] = field(default_factory=dict)

    def write(self, section: str, code: str) -> None:
        """One definition more."""
        self.texts.setdefault(section, []).append(code)

    def leave(self, item: Recorded, why: str) -> None:
        """An object that stays behind."""
        self.report.add(item.kind, str(item.given.get("name", "")), LEFT_OUT, f"{why} ({self.place(item)})")

    def place(self, item: Recorded) -> str:
        """Where an object was made, for people."""
        file, line = item.place
        return f"{file.removeprefix(str(self.repository.root)).lstrip('/')}:{line}"

    def name_of(self, item: Recorded, kind: str) -> tuple[str, str]:
        """An object's name here, and what to say where it is another one than in Feast."""
        given = str(item.given.get("name") or item.given.get("path") or item.given.get("table") or item.kind)
        name = base = plain_name(given.rpartition("/")[2].partition(".")[0] if "/" in given else given)
        number = 2
        while self.names.setdefault((kind, name), item) is not item:
            name, number = f"{base}_{number}", number + 1
        return name, "" if name == given else f"It is called {name} here."


def described(item: Recorded) -> dict[str, str]:
    """Description, owner and tags as arguments."""
    named = {key: text(str(item.given[key])) for key in ("description", "owner") if item.given.get(key)}
    if tags := item.given.get("tags"):
        named["tags"] = sequence(text(f"{key}={value}" if value else str(key)) for key, value in tags.items())
    return named


def given_list(item: Recorded, name: str) -> list[Any]:
    """A list that an object was given; empty where it was not."""
    found = item.given.get(name)
    return list(found) if isinstance(found, list | tuple) else []


def typed(dtype: DataType) -> str:
    """A type as code."""
    if dtype.inner is not None:
        return f"hr.List({typed(dtype.inner)})"
    return f"hr.{dtype}"
