"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path,
    typer.Option("--project", "-p", envvar="HEADRACE_PROJECT", help="The project: the directory of headrace.toml."),
]


def named_value(text: str) -> tuple[str, str]:
    """What ``driver_id=101`` says on the command line."""
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"'{text}' names no value: write e.g. driver_id=101.")
    return name, value
