"""Answering for one project: its definitions as they are now, and what is measured of the answers."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.errors import HeadraceError
from headrace.platform.online_heads import Head, read_head
from headrace.server.asked import AskedBefore
from headrace.server.desk import Desk
from headrace.server.door import Door
from headrace.server.metrics import Metrics
from headrace.server.notes import Notes
from headrace.server.options import ServeOptions

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform import Platform
    from headrace.platform.context import Context


class Project:
    """A project as its files said when it was opened.

    Parameters
    ----------
    context : Context
        The project.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.asked = AskedBefore(context)

    def served_views(self) -> list[FeatureView]:
        """The views that a service reads and that are served online."""
        services = self.context.definitions.services.values()
        found = {chosen.view.name: chosen.view for service in services for chosen in service.read_selections}
        return [view for view in found.values() if view.online]

    def heads(self) -> dict[str, Head]:
        """What is served online, by view; a view without a head is missing."""
        store = self.context.online
        found = {view.name: read_head(store, view.name) for view in self.served_views()}
        return {name: head for name, head in found.items() if head is not None}

    def not_ready(self) -> list[str]:
        """Why requests can't all be answered; nothing once each view that a service reads is in the store."""
        try:
            heads = self.heads()
        except HeadraceError as error:
            return [str(error)]
        return [
            f"{view.place} is not in the online store. Run: headrace backfill {view.name}; or, if it was published "
            f"while the store was away: headrace materialize {view.name}"
            for view in self.served_views()
            if view.name not in heads
        ]


class Answering:
    """Answers requests for the features of one project.

    Parameters
    ----------
    platform : Platform
        The project, with its definitions as they were when it was opened.
    options : ServeOptions, optional
        The server's limits.
    door : Door, optional
        Who may ask; everybody without.
    notes : Notes, optional
        What is noted of answers beside metrics; nothing without.
    """

    def __init__(
        self,
        platform: Platform,
        options: ServeOptions | None = None,
        door: Door | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.options, self.door, self.notes = options or ServeOptions(), door or Door(), notes or Notes()
        self._desk: Desk | None = None
        self.project = Project(platform.context)
        self.store = platform.context.settings.online.partition(":")[0]
        self.metrics = Metrics(self.heads, platform.context.clock, self.store)

    @property
    def context(self) -> Context:
        """The project now: another one once definitions were loaded again."""
        return self.project.context

    def desk(self) -> Desk:
        """What answers requests for features in the running event loop."""
        loop = asyncio.get_running_loop()
        if self._desk is None or self._desk.loop is not loop:
            self._desk = Desk(self)
        return self._desk

    def heads(self) -> dict[str, Head]:
        """What is served online, by view; a view without a head is missing."""
        return self.project.heads()

    def not_ready(self) -> list[str]:
        """Why requests can't all be answered; nothing once each view that a service reads is in the store."""
        return self.project.not_ready()

    def replace(self, platform: Platform) -> None:
        """Answer with other definitions from now on; requests under way are answered with those that they began with.

        The connection to the store is kept, if it is the same store.
        """
        platform.context.adopt_online(self.context)
        self.project = Project(platform.context)

    def close(self) -> None:
        """Let go of the store, and write what is noted."""
        self.notes.close()
        self.door.close()
        self.context.online.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
