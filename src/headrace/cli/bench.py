"""``headrace bench``: measure, with the peers beside, on the same inputs in the same run."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer

from headrace.cli.commands import command_app
from headrace.errors import HeadraceError, UnknownNameError

app = command_app()
BENCHMARKS = ("pit", "steps", "backfill", "ingest", "publish", "materialize", "get", "serve", "stream")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(BENCHMARKS)}, or all.")] = "all",
    scale: Annotated[float, typer.Option(help="The size of the inputs, as a share of the whole.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="How often each contender runs; the best counts.")] = 3,
) -> None:
    if name not in (*BENCHMARKS, "all"):
        raise UnknownNameError.of("benchmark", name, BENCHMARKS, "headrace bench")
    for chosen in BENCHMARKS if name == "all" else (name,):
        typer.echo(_benchmark(chosen).run(scale=scale, rounds=rounds).text())


def _benchmark(name: str) -> Any:
    try:
        return import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        raise HeadraceError(
            f"the benchmarks need the source tree and the packages of headrace[bench]; {error.name} is missing here."
        ) from error
