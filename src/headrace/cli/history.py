"""``headrace history``: the steps of one entity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption, named_value

app = command_app()


@app.command()
def history(
    view: Annotated[str, typer.Argument(help="The view.")],
    key: Annotated[list[str] | None, typer.Argument(help="The entity, as driver_id=101.", metavar="KEY=VALUE")] = None,
    start: Annotated[str | None, typer.Option(help="Steps from then on, e.g. 2026-01-05T08:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="Steps before then.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many steps, the newest.")] = 20,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.frames import print_frame
    from headrace.platform import Platform

    steps = Platform.open(project).history(view, dict(map(named_value, key or [])), start, end)
    shown = f"the last {limit} of {len(steps):,} steps" if len(steps) > limit else "each step"
    print_frame(steps.tail(limit), title=f"{view}, {', '.join(key or ['global'])}: {shown}", empty="No step there.")
