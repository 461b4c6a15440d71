"""``headrace materialize``: bring the online store to what is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform.materialize import MaterializeReport

app = command_app()


@app.command()
def materialize(
    view: Annotated[str | None, typer.Argument(help="The view; all that are served online by default.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Write each record again, not only what differs.")] = False,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    platform = Platform.open(project)
    views = [view] if view else [name for name, found in platform.definitions.views.items() if found.online]
    reports = [platform.materialize(name, whole=whole) for name in views]
    print_records(map(_record, reports), title="In the online store", empty="No view is served online.")


def _record(done: MaterializeReport) -> dict[str, object]:
    return {
        "view": done.view,
        "version": done.number,
        "records written": done.records,
        "ended": done.gone,
        "whole": "yes" if done.whole else "no",
        "seconds": f"{done.seconds:.1f}",
        "records a second": int(done.records_per_second),
    }
