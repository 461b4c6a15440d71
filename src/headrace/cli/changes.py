"""How a plan is printed: a line a definition, what differs below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from headrace.platform.plan import Change, Plan

_SIGNS = {"created": ("+", "green"), "changed": ("~", "yellow"), "removed": ("-", "red")}


def print_changes(plan: Plan, *, empty: str) -> None:
    """Print what is created, changed and removed, and how many definitions are not.

    Parameters
    ----------
    plan : Plan
        The changes.
    empty : str
        What to say where there are none.
    """
    console = Console()
    for change in plan.changes:
        if change.action != "unchanged":
            console.print(_line(change), soft_wrap=True)
            for difference in change.differences:
                console.print(Text(f"    {difference}", style="dim"), soft_wrap=True)
    counts = {action: len(plan.of(action)) for action in (*_SIGNS, "unchanged")}  # type: ignore[arg-type]
    summary = ", ".join(f"{count} {action}" for action, count in counts.items() if count)
    console.print(Text(empty if plan.is_empty else f"{summary}."))


def _line(change: Change) -> Text:
    sign, style = _SIGNS[change.action]
    cost = f"  ({change.backfill})" if change.backfill else ""
    return Text.assemble((f"{sign} {change.kind.replace('_', '-')} ", style), (change.name, f"bold {style}"), cost)
