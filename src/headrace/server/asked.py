"""What is kept of a service, or of a list of features, from request to request."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from headrace.platform.online import OnlineReader
from headrace.platform.request_columns import key_columns
from headrace.server.references import Wanted, by_reference, by_service
from headrace.server.requests import Columns, FeatureRequest
from headrace.server.responses import Shape

if TYPE_CHECKING:
    from headrace.platform.context import Context

_MOST: Final = 256
"""Requests may name any features one by one: the readers of so many different lists are kept."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A service, or a list of features, ready to be answered.

    Parameters
    ----------
    name : str
        The service's; that of all lists of features is one.
    wanted : Wanted
        What was named.
    columns : Columns
        Reads the columns of requests.
    reader : OnlineReader
        Reads the store.
    keys : tuple of str
        The columns of the entities' keys.
    views : tuple of str
        The view of each of the service's features; an on-demand feature stands for itself.
    has_on_demand : bool
        Whether users' functions are run.
    distinct_views : tuple of str
        The views that are read.
    """

    name: str
    wanted: Wanted
    columns: Columns
    reader: OnlineReader
    keys: tuple[str, ...]
    views: tuple[str, ...]
    has_on_demand: bool
    distinct_views: tuple[str, ...]
    _shapes: dict[bool, Shape] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context, wanted: Wanted) -> Asked:
        """Prepare what a request named."""
        service = wanted.service
        views = {column: chosen.view.name for chosen in service.selections for column in chosen.columns.values()}
        return cls(
            service.name, wanted, Columns.of(service), OnlineReader.of(context, service), tuple(key_columns(service)),
            tuple(views.get(column) or column.split("__", 1)[0] for column in service.columns), bool(service.on_demand),
            tuple(dict.fromkeys(chosen.view.name for chosen in service.read_selections)),
        )  # fmt: skip

    def shape(self, *, full: bool) -> Shape:
        """What its answers look like, with full names or bare ones."""
        if full not in self._shapes:
            self._shapes[full] = Shape(self.keys, self.wanted.columns, self.wanted.names(full=full))
        return self._shapes[full]


class AskedBefore:
    """Prepared questions of one project; safe for threads.

    Parameters
    ----------
    context : Context
        The project.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: OrderedDict[Hashable, Asked] = OrderedDict()
        self._lock = Lock()

    def of(self, request: FeatureRequest) -> Asked:
        """The service or the features that a request names.

        Raises
        ------
        RequestError
            If there is no such thing, or it is not served.
        """
        name = request.feature_service
        key: Hashable = name if name is not None else tuple(request.features or ())
        with self._lock:
            if (known := self._asked.get(key)) is not None:
                self._asked.move_to_end(key)
                return known
        definitions = self._context.definitions
        wanted = by_reference(definitions, request.features or ()) if name is None else by_service(definitions, name)
        made = Asked.of(self._context, wanted)
        with self._lock:
            self._asked[key] = made
            if len(self._asked) > _MOST:
                self._asked.popitem(last=False)
        return made
