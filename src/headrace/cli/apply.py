"""``headrace apply``: put the project's definitions in force."""

from __future__ import annotations

from pathlib import Path

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()


@app.command()
def apply(project: ProjectOption = Path()) -> None:
    from headrace.cli.changes import print_changes
    from headrace.platform import Platform

    print_changes(Platform.open(project).apply(), empty="Nothing changed.")
