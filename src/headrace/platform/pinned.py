"""Services that pin a version: ``driver_now @ 3`` is read as it was defined and published then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.definitions.services import FeatureService, Member
from headrace.definitions.transforms import OnDemand
from headrace.definitions.views import FeatureView, Selection, selection
from headrace.errors import HeldError, UnknownNameError, VersionGoneError
from headrace.platform.gold import Gold
from headrace.platform.past_definitions import view_as_of
from headrace.registry.base import Pin, Publication

if TYPE_CHECKING:
    from headrace.platform.context import Context


def resolved(context: Context, service: FeatureService) -> FeatureService:
    """The service with each pinned view as it was defined when that version was published.

    Raises
    ------
    UnknownNameError
        If there is no such version, or it did not have a chosen feature yet.
    """
    if all(chosen.version is None for chosen in service.read_selections):
        return service
    on_demand = {
        item.name: replace(item, inputs=tuple(_resolved(context, wanted) for wanted in item.inputs))
        for item in service.on_demand
    }
    members: list[Member] = [
        on_demand[item.name] if isinstance(item, OnDemand) else _resolved(context, item) for item in service.features
    ]
    return replace(service, features=members)


def check_pins(context: Context, service: FeatureService) -> None:
    """Refuse a pin of a version that is not there, of a view that has versions.

    Raises
    ------
    UnknownNameError
        With the versions that there are.
    """
    if all(context.registry.publications(each.view.name) for each in service.read_selections if each.version):
        resolved(context, service)


def gold_of(context: Context, chosen: Selection) -> Gold:
    """The gold that a selection reads: of its pinned version, or the newest of its definition.

    Raises
    ------
    VersionGoneError
        If vacuum took the files of the pinned version.
    HeldError
        If the definition was taken back since, by a rollback to another one.
    """
    if chosen.version is None:
        gold = Gold.of(context, chosen.view)
        _check_not_taken_back(context, gold)
        return gold
    found = publication_of(context, chosen)
    if found.vacuumed:
        raise VersionGoneError(f"{chosen.reference}: its files were removed by vacuum. Pin a newer version, or none.")
    return Gold.unpublished(context.lake, chosen.view).published_as(found)


def _check_not_taken_back(context: Context, gold: Gold) -> None:
    mine, serving = gold.publication, context.registry.serving().get(gold.view.name)
    if mine is None or serving is None or serving.fingerprint == gold.fingerprint or serving.number < mine.number:
        return
    if serving.kind == "rollback":
        raise HeldError(
            f"{gold.view.place}: its definition was taken back by version {serving.number}, which has the content of "
            f"version {serving.content_of} under another one. Restore that definition; or, where this one is right: "
            f"headrace release {gold.view.name}, and backfill. To read what was taken back, pin it: "
            f"{gold.view.name} @ {mine.number}."
        )


def publication_of(context: Context, chosen: Selection) -> Publication:
    """The publication that a selection pins."""
    if chosen.version is None:
        raise AssertionError("only a pinned selection names a publication")
    return publication_numbered(context.registry.publications(chosen.view.name), chosen.version, chosen.view.place)


def publication_numbered(published: Sequence[Publication], number: int, place: str) -> Publication:
    """The publication with a number.

    Raises
    ------
    UnknownNameError
        If there is none: says which there are.
    """
    found = {publication.number: publication for publication in published}
    if number not in found:
        raise UnknownNameError.of("version", str(number), map(str, found), place)
    return found[number]


def pinned_fingerprints(context: Context, view: str) -> set[str]:
    """The definitions of a view that some service of the project pins by a version."""
    chosen = [each for service in context.definitions.services.values() for each in service.read_selections]
    numbers = {each.version for each in chosen if each.view.name == view and each.version is not None}
    if not numbers:
        return set()
    return {found.fingerprint for found in context.registry.publications(view) if found.number in numbers}


def owner_of(folder: Path) -> str:
    """How the registry names a training set that is kept in a folder."""
    return str(folder.absolute())


def pin_versions(context: Context, folder: Path, golds: dict[str, Gold]) -> None:
    """Let vacuum keep what the manifest of a training set names, until it is unpinned."""
    now, owner = context.clock(), owner_of(folder)
    pins = [Pin(owner, gold.view.name, gold.fingerprint, gold.version, now) for gold in golds.values()]
    context.registry.pin(pins)


def _resolved(context: Context, item: FeatureView | Selection) -> Selection:
    chosen = selection(item)
    if chosen.version is None:
        return chosen
    view = view_as_of(context, chosen.view, publication_of(context, chosen).fingerprint)
    for name in chosen.names:
        if name not in view.features:
            raise UnknownNameError.of("feature", name, view.features, chosen.reference)
    return replace(chosen, view=view)
