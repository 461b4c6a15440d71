"""The ``headrace`` command: global options, help and the error boundary."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from headrace.cli.boundary import error_boundary
from headrace.cli.commands import SECTIONS, LazyCommands


class HeadraceGroup(TyperGroup):
    """The root command: sub-commands come from a table and are imported when they are run."""

    # Typer keeps the types of contexts and formatters private, so they are not named here.

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("Any", LazyCommands())

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the order of the help."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by section, from the table alone: no command is imported."""
        for title, lines in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(lines.items()))

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command inside the error boundary."""
        with error_boundary(debug=ctx.params["debug"]):
            return super().invoke(ctx)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"headrace {version('headrace')}")
        raise typer.Exit


app = typer.Typer(
    name="headrace",
    cls=HeadraceGroup,
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich's help costs 0.2 s, and each `--help` would pay it
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def root(
    debug: Annotated[
        bool, typer.Option("--debug", envvar="HEADRACE_DEBUG", help="Show the traceback of an error.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A feature platform: define a feature once, read the same value in training and in serving."""


def main() -> None:
    """Run the command line with the arguments of this process."""
    app(prog_name="headrace")
