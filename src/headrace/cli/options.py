"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path,
    typer.Option("--project", "-p", envvar="HEADRACE_PROJECT", help="The project: the directory of headrace.toml."),
]
