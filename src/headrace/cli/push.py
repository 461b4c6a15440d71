"""``headrace push``: write rows into the stream of a source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform.push_report import PushReport

app = command_app()

_MOST_SHOWN = 20


@app.command()
def push(
    source: Annotated[str, typer.Argument(help="The source; it has a stream.")],
    file: Annotated[Path, typer.Argument(help="A file of JSON lines; - for what is piped in.")],
    partial: Annotated[bool, typer.Option("--partial", help="Write the good rows where others are refused.")] = False,
    wait: Annotated[
        float | None, typer.Option("--wait", min=0, help="Wait until they are served, so many seconds at most.")
    ] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform
    from headrace.platform.push_report import PushRefusedError

    platform = Platform.open(project)
    rows: Any = _piped() if str(file) == "-" else file
    try:
        report = platform.push(source, rows, wait_seconds=wait, partial=partial)
    except PushRefusedError as error:
        _tell(error.refused)
        raise
    _show(report)
    if report.readable is False:
        raise typer.Exit(1)


def _piped() -> list[Any]:
    import sys

    from headrace.platform.push_rows import rows_of_text

    return rows_of_text(sys.stdin.buffer.read())


def _show(report: PushReport) -> None:
    from headrace.cli.output import print_records

    record = {
        "source": report.source,
        "rows written": report.rows,
        "refused": report.refused_rows,
        "into": report.location,
        **({} if report.readable is None else {"served": "yes" if report.readable else "no"}),
    }
    print_records([record], title="Pushed", empty="Nothing was pushed.")
    _tell(report.refused)
    for name, near in report.undeclared.items():
        hint = f"; the nearest that is: '{near}'" if near else ""
        typer.echo(f"{report.source}: column '{name}' is not declared{hint}.", err=True)
    if report.absent:
        typer.echo(f"{report.source}: no row has {', '.join(report.absent)}: null.", err=True)
    if report.reason:
        typer.echo(f"Not served yet: {report.reason}", err=True)


def _tell(refused: Any) -> None:
    for each in refused[:_MOST_SHOWN]:
        typer.echo(str(each), err=True)
    if len(refused) > _MOST_SHOWN:
        typer.echo(f"and {len(refused) - _MOST_SHOWN:,} more", err=True)
