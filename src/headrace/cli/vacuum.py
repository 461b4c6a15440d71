"""``headrace vacuum``: remove files that nobody needs any more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()
_MEGABYTE = 1_000_000


@app.command()
def vacuum(
    name: Annotated[str | None, typer.Argument(help="A source or a view; every table by default.")] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many of a view's newest versions stay.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    unpin: Annotated[
        Path | None, typer.Option(help="A training set's folder: first forget the versions that it pins.")
    ] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    platform = Platform.open(project)
    if unpin is not None and not platform.unpin(unpin):
        raise typer.BadParameter(f"{unpin} pins nothing.", param_hint="--unpin")
    reports = platform.vacuum(name, keep=keep, dry_run=dry_run)
    records = [
        {
            "table": table,
            "files removed": report.files,
            "MB removed": f"{report.size_bytes / _MEGABYTE:,.1f}",
            "files kept": report.kept_files,
            "files spared": report.spared_files,
        }
        for table, report in reports.items()
    ]
    title = "Would be removed" if dry_run else "Vacuumed"
    print_records(records, title=title, empty="There are no tables yet. Run `headrace ingest`.")
