"""The heads by which readers see a stream's views: how far it has come, under the right to say so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from headrace.platform.stream_loading import taken_over
from headrace.platform.stream_sinks import show

if TYPE_CHECKING:
    from headrace.definitions.sources import Source
    from headrace.platform.context import Context
    from headrace.platform.online_heads import Head
    from headrace.streaming.lane import Lane


@dataclass(slots=True)
class Heads:
    """The heads of the views of one source.

    Parameters
    ----------
    context : Context
        The project.
    source : Source
        The source.
    """

    context: Context
    source: Source
    _held: dict[str, Head] = field(default_factory=dict, init=False)

    def take_over(self, lane: Lane, cut: int) -> None:
        """Let readers see a lane's generation, whatever they saw before."""
        self._held[lane.view.name] = taken_over(self.context, lane, self.source, cut)
        show(self.context.online, self._held[lane.view.name])

    def show(self, lanes: Iterable[Lane], cut: int) -> None:
        """Let readers know through when the lanes are known.

        Raises
        ------
        FencedError
            If a publication or another stream took a view over.
        OnlineStoreError
            If the store can't be written.
        """
        for lane in lanes:
            head = self._held.get(lane.view.name) or taken_over(self.context, lane, self.source, cut)
            head = replace(head, frontier=cut, written_at=self.context.clock())
            self._held[lane.view.name] = head
            show(self.context.online, head)

    def forget(self) -> None:
        """The store lost them: they are written anew."""
        self._held.clear()
