"""What there is to ask for: services with their columns and features, and the published versions of views."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.definitions.services import bindings
from headrace.errors import OnlineStoreError, UnknownNameError
from headrace.platform.online_heads import Head, read_head
from headrace.platform.request_columns import key_columns
from headrace.server.errors import RequestError
from headrace.server.openapi_services import ServedFeature, example_entities, is_served, served_features
from headrace.server.references import by_service
from headrace.server.v1_answers import served
from headrace.server.v1_forms import ViewServed, utc
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.platform.context import Context
    from headrace.registry.base import Publication
    from headrace.types import DataType


class ServiceShort(msgspec.Struct, frozen=True):
    """A service in the list of all; `served` is whether all its views are online."""

    name: str
    description: str
    owner: str
    tags: Sequence[str]
    features: Sequence[str]
    served: bool


class Services(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/services``."""

    services: Sequence[ServiceShort]


class NamedType(msgspec.Struct, frozen=True):
    """A column of a request and its type, as definitions write it."""

    name: str
    type: str


class FeatureTold(msgspec.Struct, frozen=True):
    """A feature of a service.

    Parameters
    ----------
    name, type : str
        ``view__feature``, and its type; None where only a publication will tell.
    view, feature : str or None
        What it is read from; None of an on-demand feature.
    description, owner : str
        The feature's or its view's, and the view's.
    tags : sequence of str
        The view's.
    ttl_seconds : float or None
        From which age on its value is null.
    computed_by, computed_from : str, sequence of str, or None
        The function of an on-demand feature, and what it reads.
    """

    name: str
    type: str | None
    view: str | None
    feature: str | None
    description: str
    owner: str
    tags: Sequence[str]
    ttl_seconds: float | None
    computed_by: str | None
    computed_from: Sequence[str] | None


class Example(msgspec.Struct, frozen=True):
    """A request as it might be."""

    method: str
    path: str
    body: dict[str, Any]


class ServiceTold(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/services/{name}``; a view that is not in the store is null."""

    name: str
    description: str
    owner: str
    tags: Sequence[str]
    served: bool
    keys: Sequence[NamedType]
    request: Sequence[NamedType]
    features: Sequence[FeatureTold]
    views: dict[str, ViewServed | None]
    example: Example


class ViewHeld(msgspec.Struct, frozen=True):
    """Why nothing is published of a view until it is released."""

    reason: str
    held_at: datetime | None
    held_by: str


class Published(msgspec.Struct, frozen=True):
    """A publication of a view, as `headrace.registry.base.Publication`."""

    number: int
    kind: str
    definition: str
    published_at: datetime | None
    published_by: str
    frontier: datetime | None
    steps: int
    content_of: int
    is_serving: bool
    was_served: bool
    is_vacuumed: bool


class ViewVersions(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/views/{name}/versions``: publications, oldest first."""

    view: str
    serving: int | None
    hold: ViewHeld | None
    publications: Sequence[Published]


def heads_of(context: Context, services: Sequence[FeatureService]) -> dict[str, Head]:
    """What is served online of the views of services.

    Raises
    ------
    OnlineStoreError
        If the store can't be read.
    """
    views = {chosen.view.name: chosen.view for service in services for chosen in service.read_selections}
    found = {name: read_head(context.online, name) for name, view in views.items() if view.online}
    return {name: head for name, head in found.items() if head is not None}


def heads_or_none(context: Context, services: Sequence[FeatureService]) -> dict[str, Head]:
    """The same; none while the store can't be read, as services can be described without it."""
    try:
        return heads_of(context, services)
    except OnlineStoreError:
        return {}


def services(context: Context, only: Collection[str] | None = None) -> Services:
    """All services, by name; or those of some names, which a caller may read."""
    every = sorted(context.definitions.services.values(), key=lambda service: service.name)
    found = every if only is None else [service for service in every if service.name in only]
    return Services([_short(each) for each in found])


def service(context: Context, name: str) -> ServiceTold:
    """One service.

    Raises
    ------
    RequestError
        With 404, if there is none; says the nearest right name.
    OnlineStoreError
        If the store can't be read.
    """
    found = context.definitions.services.get(name) or by_service(context.definitions, name).service
    heads = heads_of(context, [found])
    told: Mapping[str, ViewServed] = served(heads, context.clock())
    return ServiceTold(
        name=found.name,
        description=found.description,
        owner=found.owner,
        tags=found.tags,
        served=is_served(found),
        keys=_types(key_columns(found)),
        request=_types(found.request),
        features=[_feature(feature) for feature in served_features(found, heads)],
        views={chosen.view.name: told.get(chosen.view.name) for chosen in found.read_selections},
        example=Example("POST", f"/v1/features/{found.name}", {"entities": example_entities(found)}),
    )


def versions(context: Context, name: str) -> ViewVersions:
    """What was published of a view.

    Raises
    ------
    RequestError
        With 404, if there is no such view; says the nearest right name.
    RegistryError
        If the registry can't be read.
    """
    if name not in context.definitions.views:
        error = UnknownNameError.of("view", name, context.definitions.views, "this project")
        raise RequestError(404, str(error))
    registry = context.registry
    serving, hold = registry.serving().get(name), registry.holds().get(name)
    number = None if serving is None else serving.number
    return ViewVersions(
        view=name,
        serving=number,
        hold=None if hold is None else ViewHeld(hold.reason, utc(hold.held_at), hold.held_by),
        publications=[_published(each, number) for each in registry.publications(name)],
    )


def _short(each: FeatureService) -> ServiceShort:
    return ServiceShort(each.name, each.description, each.owner, each.tags, each.columns, is_served(each))


def _types(columns: Mapping[str, DataType]) -> list[NamedType]:
    return [NamedType(name, str(dtype)) for name, dtype in columns.items()]


def _feature(feature: ServedFeature) -> FeatureTold:
    view, item = feature.view, feature.on_demand
    ages = view is not None and view.features[feature.reference.split(":", 1)[1]].ages
    ttl_us = view.ttl_us if view is not None and ages else None
    return FeatureTold(
        name=feature.column,
        type=None if feature.dtype is None else str(feature.dtype),
        view=None if view is None else view.name,
        feature=None if view is None else feature.reference.split(":", 1)[1],
        description=feature.description,
        owner="" if view is None else view.owner,
        tags=() if view is None else view.tags,
        ttl_seconds=None if ttl_us is None else ttl_us / SECOND,
        computed_by=None if item is None else item.path,
        computed_from=None if item is None else list(dict.fromkeys(bindings(item).values())),
    )


def _published(each: Publication, serving: int | None) -> Published:
    return Published(
        number=each.number,
        kind=each.kind,
        definition=each.fingerprint,
        published_at=utc(each.published_at),
        published_by=each.published_by,
        frontier=utc(each.frontier),
        steps=each.steps,
        content_of=each.content_of,
        is_serving=each.number == serving,
        was_served=each.served,
        is_vacuumed=each.vacuumed,
    )
