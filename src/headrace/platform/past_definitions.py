"""A view as it was defined when something of it was published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

from headrace.definitions.codec import definitions_of
from headrace.definitions.fingerprint import view_fingerprint
from headrace.definitions.functions import function_at
from headrace.definitions.views import FeatureView
from headrace.errors import DefinitionError

if TYPE_CHECKING:
    from headrace.platform.context import Context


def view_as_of(context: Context, view: FeatureView, fingerprint: str) -> FeatureView:
    """The definition of a view that has a fingerprint.

    Raises
    ------
    DefinitionError
        If it can't be had any more: the registry keeps definitions, and functions only by name.
    """
    if view_fingerprint(view) == fingerprint:
        return view
    for document in _documents(context, view.name, fingerprint):
        found = definitions_of(document, resolve=function_at).view(view.name)
        if view_fingerprint(found) == fingerprint:
            return found
    raise DefinitionError(
        f"{view.place}: its definition {fingerprint} can't be read any more, as its functions were changed since. "
        "Check out the code of that time."
    )


def _documents(context: Context, view: str, fingerprint: str) -> Iterator[dict[str, Any]]:
    """What the definition may have stood among: each version of its source with each of its entity, newest first."""
    version = context.registry.definition(fingerprint)
    if version is None or version.entry.kind != "view":
        return
    body = json.loads(version.entry.body)
    sources = _bodies(context, "source", body["source"])
    entities = _bodies(context, "entity", body["entity"]) if body.get("entity") else [None]
    for source, entity in product(sources, entities):
        document: dict[str, Any] = {"sources": {body["source"]: source}, "views": {view: body}}
        if entity is not None:
            document["entities"] = {body["entity"]: entity}
        yield document


def _bodies(context: Context, kind: str, name: str) -> list[Any]:
    return [json.loads(version.entry.body) for version in reversed(context.registry.history(kind, name))]
