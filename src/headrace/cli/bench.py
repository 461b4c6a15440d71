"""``headrace bench``: measure, with the peers beside, on the same inputs in the same run."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.errors import HeadraceError, UnknownNameError

app = command_app()
BENCHMARKS = ("pit", "steps", "backfill", "ingest")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(BENCHMARKS)}, or all.")] = "all",
    scale: Annotated[float, typer.Option(help="The size of the inputs, as a share of the whole.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="How often each contender runs; the best counts.")] = 3,
) -> None:
    if name not in (*BENCHMARKS, "all"):
        raise UnknownNameError.of("benchmark", name, BENCHMARKS, "headrace bench")
    try:
        from benchmarks.suite import lines
    except ModuleNotFoundError as error:
        raise HeadraceError(
            f"the benchmarks need the source tree and the packages of headrace[bench]; {error.name} is missing here."
        ) from error
    for line in lines(BENCHMARKS if name == "all" else (name,), scale, rounds):
        typer.echo(line)
