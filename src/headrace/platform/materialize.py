"""Bringing the online store to what is published of a view."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.definitions.fingerprint import view_fingerprint
from headrace.errors import DefinitionError, NotAppliedError
from headrace.platform.gold import Gold, complete_from
from headrace.platform.online_heads import read_head
from headrace.platform.online_loading import Load, is_streamed
from headrace.platform.past_definitions import view_as_of
from headrace.platform.registering import turn

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.registry.base import Publication


@dataclass(frozen=True, slots=True)
class MaterializeReport:
    """What was written online.

    Parameters
    ----------
    view : str
        The view.
    number : int
        The publication that is served online now.
    records : int
        Records that were written.
    gone : int
        Entities of which nothing is left.
    whole : bool
        Whether all records were written, rather than those that had changed.
    seconds : float
        How long it took.
    """

    view: str
    number: int
    records: int
    gone: int
    whole: bool
    seconds: float

    @property
    def records_per_second(self) -> float:
        """How fast records were written."""
        return (self.records + self.gone) / self.seconds if self.seconds else 0.0


def materialize(context: Context, view_name: str, *, whole: bool = False) -> MaterializeReport:
    """Bring the online store to the publication of a view that is served.

    Nothing is written where it is there already. Otherwise only what differs from what the store holds is
    written, or everything, where that can't be told.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    whole : bool
        Write everything anyway.

    Raises
    ------
    NotAppliedError
        If nothing of the view was published.
    DefinitionError
        If the view is not served online.
    OnlineStoreError
        If the store can't be written.
    """
    began = time.monotonic()
    view = context.definitions.view(view_name)
    if not view.online:
        raise DefinitionError(f"{view.place} is not served online: it is defined with online=False.")
    if is_streamed(context, view_name):
        raise DefinitionError(
            f"{view.place} is written online by the stream of {view.source.where}, and by nobody else. "
            f"To have it load what is published: headrace stream --source {view.source.name} --reload {view_name}"
        )
    with turn(context, _gold(context, view, _serving(context, view_name))) as mine:
        serving = _serving(context, view_name)
        gold = _gold(context, view, serving)
        load = Load(context, gold, serving, mine.lease)
        if whole or not _is_there(context, gold.view, serving):
            load.write(whole=whole)
            load.show(serving.number)
    seconds = time.monotonic() - began
    return MaterializeReport(view_name, serving.number, load.records, load.gone, load.whole, seconds)


def _gold(context: Context, view: FeatureView, serving: Publication) -> Gold:
    """The gold that is served, under the definition that made it."""
    return Gold.unpublished(context.lake, view_as_of(context, view, serving.fingerprint)).published_as(serving)


def catch_up(context: Context, view_name: str) -> None:
    """Show online what is served, where a crash or a store that was down came between the two."""
    serving = context.registry.serving().get(view_name)
    view = context.definitions.view(view_name)
    if (
        serving is not None
        and view.online
        and not is_streamed(context, view_name)
        and not _is_there(context, view, serving)
    ):
        materialize(context, view_name)


def _serving(context: Context, view: str) -> Publication:
    found = context.registry.serving().get(view)
    if found is None:
        raise NotAppliedError(f"view '{view}' has never been backfilled. Run: headrace backfill {view}")
    return found


def _is_there(context: Context, view: FeatureView, serving: Publication) -> bool:
    """Whether the store has what is served, read as the view says now: a `ttl` is applied to what is read."""
    head = read_head(context.online, serving.view)
    wanted = (serving.fingerprint, serving.number, serving.generation, serving.table_version)
    if head is None or (head.fingerprint, head.number, *head.stamp) != wanted:
        return False
    if head.fingerprint != view_fingerprint(view):
        return True
    is_as_complete = head.complete_from >= complete_from(view)
    return is_as_complete and (head.layout.ttl_us, head.freshness_us) == (view.ttl_us, view.freshness_us)
