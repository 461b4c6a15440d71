"""How far each view has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.definitions.views import FeatureView
from headrace.platform.auditing import rejected
from headrace.platform.gold import Gold, silver_table
from headrace.timeline.coverage import Coverage
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.registry.base import Applied, Hold, Publication

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
    version : int, optional
        The number of the publication that readers get; None where none was published.
    held : str, optional
        Why nothing is published until a release; None where the view is not held.
    age_seconds : float, optional
        How long ago its frontier is; None where nothing was published of it.
    is_stale : bool
        Whether it is further behind than the view's ``freshness``, or was never published and has one.
    is_behind : bool
        Whether readers online still get another definition, as this one does not reach as far yet.
    rejected : str, optional
        The run of the last candidate, if an audit rejected it.
    """

    view: str
    state: str
    complete: Coverage
    stale_from: int | None
    steps: int
    files: int
    size_bytes: int
    version: int | None = None
    held: str | None = None
    age_seconds: float | None = None
    is_stale: bool = False
    is_behind: bool = False
    rejected: str | None = None

    @property
    def frontier(self) -> int | None:
        """Through when it is computed, in microseconds."""
        return self.complete.frontier


def view_status(context: Context) -> list[ViewStatus]:
    """How far each view has come, from the metadata of the tables and from the registry alone."""
    known = _Known.of(context)
    return [_status(context, view, known) for view in context.definitions.views.values()]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the registry says of all views."""

    applied: Applied | None
    serving: Mapping[str, Publication]
    holds: Mapping[str, Hold]

    @classmethod
    def of(cls, context: Context) -> _Known:
        registry = context.registry
        return cls(registry.current(), registry.serving(), registry.holds())

    def state(self, gold: Gold) -> str:
        found = None if self.applied is None else self.applied.version("view", gold.view.name)
        if found is None:
            return NEW
        return APPLIED if found.entry.fingerprint == gold.fingerprint else CHANGED


def _status(context: Context, view: FeatureView, known: _Known) -> ViewStatus:
    gold = Gold.of(context, view)
    silver = silver_table(context.lake, view.source)
    files = gold.files()
    serving, hold = known.serving.get(view.name), known.holds.get(view.name)
    complete = gold.complete()
    age = None if complete.frontier is None else (context.clock() - complete.frontier) / SECOND
    return ViewStatus(
        view=view.name,
        state=known.state(gold),
        complete=complete,
        stale_from=gold.stale_from(silver.commits()) if silver.exists() else None,
        steps=sum(file.rows for file in files),
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        version=None if serving is None else serving.number,
        held=None if hold is None else hold.reason,
        age_seconds=age,
        is_behind=serving is not None and serving.fingerprint != gold.fingerprint,
        rejected=_rejected_since(context, gold),
        is_stale=view.freshness_us is not None and (age is None or age > view.freshness_us / SECOND),
    )


def _rejected_since(context: Context, gold: Gold) -> str | None:
    """The run of the newest rejected candidate, if it came after all that was published."""
    published = 0 if gold.publication is None else gold.publication.published_at
    return next((each.run_id for each in reversed(rejected(context, gold)) if each.at > published), None)
