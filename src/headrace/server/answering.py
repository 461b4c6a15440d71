"""Answering for one project: a reader for each service, kept from request to request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from headrace.errors import HeadraceError
from headrace.platform.online import OnlineReader
from headrace.platform.online_heads import Head, read_head
from headrace.platform.request_columns import key_columns
from headrace.server.metrics import Metrics
from headrace.server.references import Wanted, by_reference, by_service
from headrace.server.requests import Columns, FeatureRequest, parse_request
from headrace.server.responses import encoded

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform import Platform
    from headrace.platform.context import Context

_MOST_READERS: Final = 256
"""Requests may name any features one by one: the readers of so many different lists are kept."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is kept of a service, or of a list of features."""

    wanted: Wanted
    columns: Columns
    reader: OnlineReader
    keys: tuple[str, ...]
    views: tuple[str, ...]
    """The view of each of the service's features; an on-demand feature stands for itself."""

    @classmethod
    def of(cls, context: Context, wanted: Wanted) -> _Asked:
        service = wanted.service
        views = {column: chosen.view.name for chosen in service.selections for column in chosen.columns.values()}
        return cls(
            wanted, Columns.of(service), OnlineReader.of(context, service), tuple(key_columns(service)),
            tuple(views.get(column) or column.split("__", 1)[0] for column in service.columns),
        )  # fmt: skip


class Answering:
    """Answers requests for the features of one project, from any thread.

    Parameters
    ----------
    platform : Platform
        The project, with its definitions as they were when it was opened.
    most_rows : int
        How many entities one request may ask for.
    """

    def __init__(self, platform: Platform, most_rows: int) -> None:
        self.context = platform.context
        self._most_rows = most_rows
        self._asked: OrderedDict[Hashable, _Asked] = OrderedDict()
        self._lock = Lock()
        self.is_local = platform.context.settings.online.startswith("lmdb:")
        self.metrics = Metrics(self.heads, platform.context.clock)

    def answer(self, body: bytes) -> bytes:
        """The answer to ``POST /get-online-features``, of now or of the time that is asked for.

        Raises
        ------
        HeadraceError
            If there is none: `headrace.server.errors.status_of` says whose fault that is.
        """
        request = parse_request(body)
        at = request.time(self.context.clock())
        asked = self._asked_by(request)
        names = asked.wanted.names(full=request.full_feature_names)
        columns = asked.columns.parsed(request, self._most_rows)
        answer = asked.reader.read(columns, at)
        self.metrics.values(asked.views, answer.statuses)
        keys = {key: columns[key] for key in asked.keys}
        return encoded(answer, keys, dict(zip(asked.wanted.columns, names, strict=True)))

    def heads(self) -> dict[str, Head]:
        """What is served online, by view; a view without a head is missing."""
        store = self.context.online
        found = {view.name: read_head(store, view.name) for view in self._served_views()}
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
            for view in self._served_views()
            if view.name not in heads
        ]

    def close(self) -> None:
        """Let go of the store."""
        self.context.online.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked_by(self, request: FeatureRequest) -> _Asked:
        name = request.feature_service
        key: Hashable = name if name is not None else tuple(request.features or ())
        with self._lock:
            if key in self._asked:
                self._asked.move_to_end(key)
                return self._asked[key]
        definitions = self.context.definitions
        wanted = by_reference(definitions, request.features or ()) if name is None else by_service(definitions, name)
        made = _Asked.of(self.context, wanted)
        with self._lock:
            self._asked[key] = made
            if len(self._asked) > _MOST_READERS:
                self._asked.popitem(last=False)
        return made

    def _served_views(self) -> list[FeatureView]:
        """The views that a service reads and that are served online."""
        services = self.context.definitions.services.values()
        found = {chosen.view.name: chosen.view for service in services for chosen in service.read_selections}
        return [view for view in found.values() if view.online]
