"""``headrace snapshot``: the features of many entities at one time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()
_SHOWN = 20


@app.command()
def snapshot(
    service: Annotated[str, typer.Argument(help="The service: which features.")],
    at: Annotated[str, typer.Option(help="When, e.g. 2026-01-05T08:00:00Z.")],
    entities: Annotated[
        Path | None, typer.Option(help="Parquet or CSV with the keys and request columns; all entities by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write Parquet there instead of showing the rows.")] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.frames import print_frame
    from headrace.platform import Platform

    rows = Platform.open(project).snapshot(service, at, entities)
    if out is not None:
        rows.write_parquet(out)
        typer.echo(f"wrote {len(rows):,} rows to {out}")
        return
    shown = f", {_SHOWN} of {len(rows):,} rows" if len(rows) > _SHOWN else ""
    print_frame(rows.head(_SHOWN), title=f"{service} at {at}{shown}", empty="There are no entities.")
