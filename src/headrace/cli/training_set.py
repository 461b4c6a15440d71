"""``headrace training-set``: features joined to labels as they were known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    import polars as pl

app = command_app()


@app.command()
def training_set(
    labels: Annotated[Path | None, typer.Argument(help="Parquet or CSV: times, keys, request columns, labels.")] = None,
    service: Annotated[str | None, typer.Argument(help="The service: which features.")] = None,
    time: Annotated[str, typer.Option(help="The column of the labels' times.")] = "label_time",
    known: Annotated[
        Literal["then", "now"], typer.Option(help="What was known at each time, or what is known now.")
    ] = "then",
    on_incomplete: Annotated[
        Literal["raise", "null"], typer.Option(help="Where a view is not complete: stop, or null.")
    ] = "raise",
    statuses: Annotated[bool, typer.Option("--statuses", help="Add the status of each value.")] = False,
    to: Annotated[Path | None, typer.Option(help="A folder for the labels, the result and its manifest.")] = None,
    from_manifest: Annotated[
        Path | None, typer.Option(help="Make the training set of this folder again, to the byte, in --to.")
    ] = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.frames import print_frame
    from headrace.platform import Platform

    if from_manifest is not None:
        if to is None or labels is not None:
            raise typer.BadParameter("--from-manifest goes with --to and without labels: they are in its folder.")
        result = Platform.open(project).rebuild(from_manifest, to)
        typer.echo(f"wrote the same bytes again to {to}")
    else:
        if labels is None or service is None:
            raise typer.BadParameter("name the labels' file and the service, or --from-manifest.")
        result = Platform.open(project).training_set(
            labels, service, time, known=known, on_incomplete=on_incomplete, statuses=statuses, to=to
        )
    print_frame(_summary(result), title=f"{len(result):,} rows", empty="The labels have no columns.")
    if to is not None:
        typer.echo(f"{to} holds labels.parquet, training_set.parquet and manifest.json")


def _summary(result: pl.DataFrame) -> pl.DataFrame:
    """Each column, its type, its share of nulls and one of its values."""
    import polars as pl

    columns = result.get_columns()
    return pl.DataFrame({
        "column": [column.name for column in columns],
        "type": [str(column.dtype.base_type()) for column in columns],
        "null share": [column.null_count() / max(1, len(column)) for column in columns],
        "for example": [next((str(v) for v in column.drop_nulls().head(1)), None) for column in columns],
    })  # fmt: skip
