"""The one place where an error of ours becomes a message and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from headrace.errors import HeadraceError


@contextmanager
def error_boundary(*, debug: bool) -> Iterator[None]:
    """Turn a `HeadraceError` into a message on stderr and exit code 1.

    Any other exception is a defect of headrace, so it passes through with its traceback.

    Parameters
    ----------
    debug : bool
        Let the error through, so that its traceback is shown.

    Raises
    ------
    typer.Exit
        With code 1, after the message was printed; with 130, where somebody pressed Ctrl-C.
    """
    try:
        yield
    except HeadraceError as error:
        if debug:
            raise
        _show(error)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("Stopped. What was finished is kept: run the same command again to go on.", err=True)
        raise typer.Exit(130) from error


def _show(error: HeadraceError) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    message = Text.assemble(("Error: ", "bold red"), (str(error), "red"))
    console.print(message, soft_wrap=not console.is_terminal)
