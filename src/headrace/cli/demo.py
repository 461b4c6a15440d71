"""``headrace demo``: a city's platform from raw rows to a model, and a project left to explore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app

app = command_app()
FOLDER = Path("headrace-demo")


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Argument(help="The project's folder; an earlier demo there is made anew.")
    ] = FOLDER,
    days: Annotated[int, typer.Option(min=2, max=14, help="Days to simulate; the last one tests the models.")] = 3,
    drivers: Annotated[int, typer.Option(min=20, max=20_000, help="Drivers on the books.")] = 400,
) -> None:
    from headrace.errors import HeadraceError

    try:
        from data_platform.demo import run_demo
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("data_platform"):
            raise HeadraceError(
                "the demo's package, data_platform, is not installed beside headrace. Install a wheel that has it, or "
                "run `make demo` in the source tree."
            ) from error
        raise HeadraceError(
            f"the demo trains models, and {error.name} is not installed. Run: pip install 'headrace[demo]'"
        ) from error
    run_demo(directory, days, drivers)
