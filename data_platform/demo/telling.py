"""What the demo prints: chapters of a sentence, some figures and a time."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH = 96


class Teller:
    """Prints, and keeps the seconds of each chapter."""

    def __init__(self) -> None:
        self.console = Console(width=min(WIDTH, Console().width), highlight=False)
        self.seconds: dict[str, float] = {}

    def title(self, text: str) -> None:
        """Print the first line."""
        self.console.print(Text(text, style="bold"))

    def heading(self, name: str, sentence: str) -> None:
        """Print how a chapter begins."""
        self.console.print(Text.assemble("\n", (f"{len(self.seconds) + 1}  {name}", "bold cyan")))
        self.say(sentence, style="dim")

    @contextmanager
    def chapter(self, name: str, sentence: str) -> Iterator[None]:
        """Print what comes, and when it is over how long it took."""
        self.heading(name, sentence)
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)
        self.console.print(Text(f"   {self.seconds[name]:.1f} s", style="green"))

    def say(self, text: str, style: str = "") -> None:
        """Print a paragraph under the chapter's name."""
        for line in textwrap.wrap(text, self.console.width - 3):
            self.console.print(Text(f"   {line}", style=style), soft_wrap=True)

    def command(self, text: str) -> None:
        """Print a command as it can be pasted."""
        self.console.print(Text(f"   {text}", style="bold"), soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table; numbers are aligned right."""
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for heading, value in zip(headings, rows[0], strict=True):
            table.add_column(heading, justify="right" if isinstance(value, int | float) else "left")
        for row in rows:
            table.add_row(*(Text(_shown(value)) for value in row))
        self.console.print(Padding(table, (0, 0, 0, 3)))


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
