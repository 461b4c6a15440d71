"""Holding a view: nothing is published until it is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import HeldError
from headrace.platform.user import user
from headrace.registry.base import Hold
from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.platform.context import Context


def hold(context: Context, view_name: str, reason: str) -> Hold:
    """Publish nothing of a view until it is released; one that is held already stays as it is.

    Readers keep what they have.
    """
    view = context.definitions.view(view_name)
    context.registry.hold(Hold(view.name, reason, context.clock(), user()))
    return context.registry.holds()[view.name]


def release(context: Context, view_name: str) -> Hold | None:
    """Let a view be published again; returns the hold that ended, None if there was none.

    The next backfill computes what is missing or stale. Of a view that was rolled back, that is what was
    taken back: correct its rows or its definition first.
    """
    return context.registry.release(context.definitions.view(view_name).name)


def check_not_held(context: Context, view: str) -> None:
    """Refuse to publish a view that is held.

    Raises
    ------
    HeldError
        With the reason, and the command that releases it.
    """
    found = context.registry.holds().get(view)
    if found is not None:
        by = f" by {found.held_by}" if found.held_by else ""
        raise HeldError(
            f"view '{view}' is held since {instant_text(found.held_at)}{by}: {found.reason}. Nothing is published "
            f"until: headrace release {view}"
        )
