"""Progress bars with an estimate, on stderr, gone when they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.platform.backfill import Progress as BackfillProgress


@contextmanager
def backfill_bar(view: str) -> Iterator[Callable[[BackfillProgress], None]]:
    """Show how far the backfill of a view has come, and how long it will still take.

    Yields
    ------
    callable
        What `Platform.backfill` takes as ``progress=``.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeRemainingColumn(),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(view, total=None)
        yield lambda reached: bar.update(task, completed=reached.done_rows, total=max(reached.total_rows, 1))
