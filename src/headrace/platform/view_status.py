"""How far each view has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.definitions.views import FeatureView
from headrace.platform.gold import Gold, silver_table
from headrace.timeline.coverage import Coverage

if TYPE_CHECKING:
    from headrace.platform.context import Context

APPLIED, CHANGED, NEW = "applied", "changed since it was applied", "not applied"


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """How far a view has come under its definition in the project's files.

    Parameters
    ----------
    view : str
        Its name.
    state : str
        Whether this definition is in force: ``applied``, ``changed since it was applied`` or ``not applied``.
    complete : Coverage
        The times for which its values are complete.
    stale_from : int, optional
        The earliest of these times that rows ingested since would change, in microseconds.
    steps, files, size_bytes : int
        Of its gold table.
    """

    view: str
    state: str
    complete: Coverage
    stale_from: int | None
    steps: int
    files: int
    size_bytes: int

    @property
    def frontier(self) -> int | None:
        """Through when it is computed, in microseconds."""
        return self.complete.frontier


def view_status(context: Context) -> list[ViewStatus]:
    """How far each view has come, from the metadata of the tables alone."""
    return [_status(context, view) for view in context.definitions.views.values()]


def _status(context: Context, view: FeatureView) -> ViewStatus:
    gold = Gold.of(context.lake, view)
    silver = silver_table(context.lake, view.source)
    stale = gold.stale_from(silver.commits()) if silver.exists() else None
    files = gold.table.files() if gold.table.exists() else []
    sizes = sum(file.rows for file in files), len(files), sum(file.size_bytes for file in files)
    return ViewStatus(view.name, _state(context, gold), gold.complete(), stale, *sizes)


def _state(context: Context, gold: Gold) -> str:
    applied = context.registry.current()
    found = None if applied is None else applied.version("view", gold.view.name)
    if found is None:
        return NEW
    return APPLIED if found.entry.fingerprint == gold.fingerprint else CHANGED
