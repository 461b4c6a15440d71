"""Rolling back: the content of an earlier publication under a new number, offline and online together."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, VersionGoneError
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import Gold
from headrace.platform.materialize import catch_up
from headrace.platform.past_definitions import view_as_of
from headrace.platform.pinned import publication_numbered
from headrace.platform.registering import BACKFILL, ROLLBACK, Turn, commit_notes, landed, register, turn

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.registry.base import Publication


def rollback(context: Context, view_name: str, number: int | None = None, reason: str = "") -> Publication:
    """Publish the content of an earlier publication again, and hold the view.

    Held, because the next run would bring the bad partition back: see `headrace.platform.holds.release`.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    number : int, optional
        The publication to go back to; the one before the content that is served now by default. Said again
        while the view is held for it, a rollback without a number finishes the first, and goes no further.
    reason : str
        Why; shown to whoever finds the view held.

    Returns
    -------
    Publication
        The new one; what is served already, where that has the wanted content and the view is held for it.

    Raises
    ------
    UnknownNameError
        If there is no such publication.
    VersionGoneError
        If vacuum took its files.
    HeadraceError
        If there is nothing to go back to.
    """
    view = context.definitions.view(view_name)
    target = _target(context, view.name, number)
    gold = Gold.of(context, view_as_of(context, view, target.fingerprint))
    with turn(context, gold) as mine:
        serving = context.registry.serving()[view.name]
        if serving.content_of != target.content_of or not _is_held(context, view.name):
            return register(mine, _restored(mine, serving, target, reason))
    catch_up(context, view.name)
    return serving


def _target(context: Context, view: str, number: int | None) -> Publication:
    published = context.registry.publications(view)
    serving = context.registry.serving().get(view)
    if serving is None:
        raise HeadraceError(f"view '{view}' has never been published: there is nothing to roll back.")
    if number is None and serving.kind == ROLLBACK and _is_held(context, view):
        return serving  # said twice, a rollback does not go further back
    if number is None:
        return _previous(serving, published)
    wanted = publication_numbered(published, number, f"view '{view}'")
    if wanted.vacuumed:
        there = [str(publication.number) for publication in published if not publication.vacuumed]
        raise VersionGoneError(
            f"view '{view}': the files of version {number} were removed by vacuum. Still there: {', '.join(there)}."
        )
    return wanted


def _is_held(context: Context, view: str) -> bool:
    return view in context.registry.holds()


def _previous(serving: Publication, published: Sequence[Publication]) -> Publication:
    """The newest publication with other steps than what is served, among those that readers ever got."""
    served = [p for p in published if p.served and p.number <= serving.content_of]
    while served and served[-1].kind == BACKFILL and not served[-1].steps:
        served.pop()  # it only reached further: it has the steps of the one before
    earlier = [p for p in served[:-1] if not p.vacuumed]
    if not earlier:
        raise HeadraceError(
            f"view '{serving.view}' has no version before {serving.content_of}: there is nothing to go back to."
        )
    return earlier[-1]


def _restored(mine: Turn, serving: Publication, target: Publication, reason: str) -> int:
    """Commit the content of a publication forward."""
    notes = commit_notes(
        mine, ROLLBACK, uuid.uuid4().hex[:12], segments=mine.gold.at(target.table_version).segments(), steps=0,
        verdict=target.verdict, content_of=target.content_of,
        reason=reason or f"rolled back from version {serving.number} to {target.number}",
    )  # fmt: skip
    mine.lease.check()
    crash_point("before rollback commit")
    version = landed(mine.gold.table.restore(target.table_version, metadata=notes, expected_version=mine.head))
    crash_point("after rollback commit")
    return version
