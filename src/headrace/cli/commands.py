"""The table of commands, and how one is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command

if TYPE_CHECKING:
    from types import ModuleType

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Define": {
        "init": "Write a new project that runs as it is.",
        "plan": "Show what applying the definitions would change, and what it would cost.",
        "apply": "Put the definitions in force.",
        "import-feast": "Write a project from a Feast repository, and what could not come along.",
        "export-feast": "Write a Feast repository from a project.",
    },
    "Bring in": {
        "ingest": "Take new files of sources, or a stream, to silver.",
        "push": "Write rows into the stream of a source, and wait until they are served.",
        "quarantine": "List, show or replay the rows that contracts refused.",
    },
    "Compute and read": {
        "backfill": "Compute features into gold, from what is missing to the end of what is known.",
        "training-set": "Join features to labels as they were known at each label's time.",
        "history": "Show when each value of an entity held.",
        "snapshot": "Show or write the features of many entities at one time.",
    },
    "Serve": {
        "serve": "Answer requests for features over HTTP, as Feast's server does.",
        "keys": "Make, show, replace and end the API keys of a server.",
        "get": "Show the features of some entities now, from the online store.",
        "stream": "Keep the online store up to date from streams, each event exactly once.",
        "materialize": "Bring the online store to what is published of a view.",
    },
    "Operate": {
        "versions": "Show what was published of a view, what is served, and what an audit rejected.",
        "check": "Audit what is published of a view by its checks, and show the steps that fail.",
        "rollback": "Go back to an earlier version of a view, offline and online, and hold it.",
        "hold": "Publish nothing of a view until its release.",
        "release": "Let a held view be published again.",
        "verify": "Compare a view's offline, online and recomputed values, and explain each difference.",
        "vacuum": "Remove files that no version needs any more.",
        "optimize": "Rewrite small files of tables into large ones, sorted by entity and time.",
        "status": "Show how far each source and each view has come.",
    },
    "Try": {
        "demo": "Simulate a city, compute its features, train a model; leaves a project to explore.",
        "bench": "Measure the speed beside others' on the same inputs, one JSON line each.",
    },
}
"""Section of the help -> command -> the line that describes it, in the order of the help."""

SUMMARIES: Mapping[str, str] = {name: line for section in SECTIONS.values() for name, line in section.items()}


def command_app() -> typer.Typer:
    """Make the Typer application that a command's module exports as ``app``.

    With one function in it, it is that command; with several, they are its sub-commands.
    """
    return typer.Typer(add_completion=False, rich_markup_mode=None)


class LazyCommands(Mapping[str, Any]):
    """The commands by name; looking one up imports its module.

    The module of ``training-set`` is ``headrace.cli.training_set``.
    """

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


def _load(name: str) -> Any:
    module: ModuleType = import_module(f"headrace.cli.{name.replace('-', '_')}")
    command = get_command(module.app)
    command.name = name
    command.help = command.help or SUMMARIES[name]
    return command
