"""``headrace optimize``: rewrite small files into few large ones, sorted by entity and time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()
_MEGABYTE = 1_000_000


@app.command()
def optimize(
    name: Annotated[str | None, typer.Argument(help="A source or a view; every table by default.")] = None,
    target_megabytes: Annotated[
        int, typer.Option("--target-megabytes", min=1, help="How large files should be.")
    ] = 512,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    reports = Platform.open(project).optimize(name, target_bytes=target_megabytes * _MEGABYTE)
    records = [
        {
            "table": table,
            "partitions rewritten": report.partitions,
            "files before": report.files_before,
            "files after": report.files_after,
            "megabytes before": f"{report.bytes_before / _MEGABYTE:,.1f}",
            "megabytes after": f"{report.bytes_after / _MEGABYTE:,.1f}",
        }
        for table, report in reports.items()
    ]
    print_records(records, title="Optimised", empty="There are no tables yet. Run `headrace ingest`.")
