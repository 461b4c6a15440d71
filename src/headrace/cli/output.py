"""How commands print: tables of records, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_records(records: Iterable[Mapping[str, Any]], *, title: str, empty: str) -> None:
    """Print records as a table on stdout.

    Parameters
    ----------
    records : iterable of mapping
        One row each; the keys of the first are the headings. Numbers are aligned right.
    title : str
        The line above the table.
    empty : str
        What to say where there are no records.

    Examples
    --------
    >>> print_records([], title="Views", empty="No view was applied yet.")
    No view was applied yet.
    """
    rows = list(records)
    console = Console()
    if not rows:
        console.print(Text(empty))
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim")
    for heading, value in rows[0].items():
        table.add_column(
            heading if "=" in heading else heading.replace("_", " "),
            justify="right" if isinstance(value, int | float) else "left",
        )
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row.values()))
    console.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
