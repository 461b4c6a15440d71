"""The versions of a view: what was published, what is served, and what an audit rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.platform.auditing import Audited, rejected
from headrace.platform.gold import Gold

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.registry.base import Hold, Publication


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of a view.

    Parameters
    ----------
    view : str
        The view.
    publications : tuple of Publication
        Oldest first.
    serving : int or None
        The number of what readers get.
    hold : Hold, optional
        Why nothing is published, if so.
    rejected : tuple of Audited
        Candidates under the present definition that an audit rejected and that were not published since.
    """

    view: str
    publications: tuple[Publication, ...]
    serving: int | None
    hold: Hold | None
    rejected: tuple[Audited, ...]


def versions(context: Context, view_name: str) -> Versions:
    """All versions of a view."""
    view = context.definitions.view(view_name)
    serving = context.registry.serving().get(view.name)
    return Versions(
        view.name,
        context.registry.publications(view.name),
        None if serving is None else serving.number,
        context.registry.holds().get(view.name),
        tuple(rejected(context, Gold.unpublished(context.lake, view))),
    )
