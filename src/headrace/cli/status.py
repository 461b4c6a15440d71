"""``headrace status``: how far each source and each view has come."""

from __future__ import annotations

from pathlib import Path

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()


@app.command()
def status(project: ProjectOption = Path()) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    print_records(
        Platform.open(project).status(),
        title="Sources and views",
        empty="Nothing was applied yet. Run `headrace apply`.",
    )
