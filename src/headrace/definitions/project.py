"""All definitions of a project, by name, checked against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from headrace.definitions.entities import Entity
from headrace.definitions.services import FeatureService, bindings
from headrace.definitions.sources import Source
from headrace.definitions.transforms import OnDemand
from headrace.definitions.views import FeatureView, selection
from headrace.errors import DefinitionError, UnknownNameError

KINDS = ("entity", "source", "view", "on_demand", "service")

T = TypeVar("T")


@dataclass(frozen=True)
class Definitions:
    """A project's entities, sources, views, on-demand features and services, each by its name.

    Build it with `Definitions.of`, which takes any objects and follows what they refer to.
    """

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    on_demand: Mapping[str, OnDemand] = field(default_factory=dict)
    services: Mapping[str, FeatureService] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Iterable[Any]) -> Definitions:
        """Collect definitions and everything that they refer to.

        Raises
        ------
        DefinitionError
            If two different definitions of a kind share a name, or the parameters of an on-demand
            feature can't be told.
        """
        found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        for item in items:
            _add(found, item)
        for on_demand in found["on_demand"].values():
            bindings(on_demand)
        return cls(found["entity"], found["source"], found["view"], found["on_demand"], found["service"])

    def source(self, name: str) -> Source:
        """The source called `name`."""
        return self._get("source", self.sources, name)

    def view(self, name: str) -> FeatureView:
        """The view called `name`."""
        return self._get("view", self.views, name)

    def service(self, name: str) -> FeatureService:
        """The service called `name`."""
        return self._get("service", self.services, name)

    def entity(self, name: str) -> Entity:
        """The entity called `name`."""
        return self._get("entity", self.entities, name)

    def of_kind(self, kind: str) -> Mapping[str, Any]:
        """The definitions of one of `KINDS`, by name."""
        return (self.entities, self.sources, self.views, self.on_demand, self.services)[KINDS.index(kind)]

    @staticmethod
    def _get(kind: str, items: Mapping[str, T], name: str) -> T:
        if name not in items:
            raise UnknownNameError.of(kind, name, items, "this project")
        return items[name]


def _kind(item: Any) -> str | None:
    kinds = zip(KINDS, (Entity, Source, FeatureView, OnDemand, FeatureService), strict=True)
    return next((kind for kind, cls in kinds if isinstance(item, cls)), None)


def _add(found: dict[str, dict[str, Any]], item: Any) -> None:
    kind = _kind(item)
    if kind is None:
        return
    known = found[kind].get(item.name)
    if known is item:
        return
    if known is not None and known != item:
        raise DefinitionError(f"two different definitions of {kind} '{item.name}'. Rename one of them.")
    found[kind][item.name] = item
    for inner in _inside(item):
        _add(found, inner)


def _inside(item: Any) -> list[Any]:
    if isinstance(item, FeatureView):
        return [item.entity, item.source]
    if isinstance(item, OnDemand):
        return [selection(wanted).view for wanted in item.inputs]
    if isinstance(item, FeatureService):
        return [*(chosen.view for chosen in item.selections), *item.on_demand]
    return []
