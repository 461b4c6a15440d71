"""Which features a request names, by a service or one by one, and what they are called in the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace.definitions.services import FeatureService
from headrace.errors import UnknownNameError
from headrace.server.errors import RequestError

if TYPE_CHECKING:
    from headrace.definitions.project import Definitions
    from headrace.definitions.services import Member

UNNAMED: Final = "request"
"""What a service is called that stands for features that were named one by one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The features that a request names.

    Parameters
    ----------
    service : FeatureService
        What to read.
    columns : tuple of str
        The wanted ones among the service's columns (``view__feature``), in the order of the request.
    """

    service: FeatureService
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what is never in the online store, with 422."""
        for chosen in self.service.read_selections:
            if not chosen.view.online:
                raise RequestError(422, f"{chosen.view.place} is not served online: it is defined with online=False.")

    def names(self, *, full: bool) -> tuple[str, ...]:
        """What the columns are called in the answer.

        Parameters
        ----------
        full : bool
            ``view__feature``; else the feature's bare name.

        Raises
        ------
        RequestError
            With 422, if two bare names collide.
        """
        if full:
            return self.columns
        bare = tuple(column.split("__", 1)[1] for column in self.columns)
        for name in bare:
            if bare.count(name) > 1:
                alike = ", ".join(c for c, own in zip(self.columns, bare, strict=True) if own == name)
                raise RequestError(
                    422,
                    f"{alike} would all be called '{name}'. Ask with \"full_feature_names\": true, or for one of them.",
                )
        return bare


def by_service(definitions: Definitions, name: str) -> Wanted:
    """The features of a service.

    Raises
    ------
    RequestError
        With 404, if there is no such service; says the nearest right name.
    """
    if name not in definitions.services:
        raise _unknown("service", name, definitions.services, "feature_service")
    service = definitions.services[name]
    return Wanted(service, service.columns)


def by_reference(definitions: Definitions, references: Sequence[str]) -> Wanted:
    """Features that are named one by one, as ``view:feature`` or ``on_demand:output``.

    Raises
    ------
    RequestError
        With 404, if there is no such view or feature (says the nearest right name); with 422, if there is none at
        all, one is named twice, or a name is no ``view:feature``.
    """
    if not references:
        raise RequestError(422, 'features: there are none. Name some, such as ["view:feature"], or a feature_service.')
    chosen: dict[str, list[str]] = {}
    for reference in references:
        name, feature = _split(definitions, reference)
        if feature in chosen.setdefault(name, []):
            raise RequestError(422, f"features: '{reference}' is named twice.")
        chosen[name].append(feature)
    members = [_member(definitions, name, features) for name, features in chosen.items()]
    columns = tuple(reference.replace(":", "__", 1) for reference in references)
    return Wanted(FeatureService(UNNAMED, features=members), columns)


def _split(definitions: Definitions, reference: str) -> tuple[str, str]:
    """The view, or the on-demand feature, and the name in it."""
    name, colon, feature = reference.partition(":")
    if not colon:
        raise RequestError(
            422, f"features: '{reference}' names no view. Write view:feature, such as driver_now:status."
        )
    if name in definitions.views:
        known = tuple(definitions.views[name].features)
    elif name in definitions.on_demand:
        known = tuple(definitions.on_demand[name].outputs)
    else:
        raise _unknown("view", name, [*definitions.views, *definitions.on_demand], "features")
    if feature not in known:
        raise _unknown("feature", feature, known, f"features, view '{name}'")
    return name, feature


def _member(definitions: Definitions, name: str, features: list[str]) -> Member:
    """An on-demand feature makes all its outputs at once."""
    view = definitions.views.get(name)
    return definitions.on_demand[name] if view is None else view[features]


def _unknown(what: str, name: str, known: Sequence[str] | object, where: str) -> RequestError:
    return RequestError(404, str(UnknownNameError.of(what, name, known, where)))  # type: ignore[arg-type]
