"""All definitions as one plain document (text, numbers, lists, mappings), and back.

A document has the keys of `SECTIONS`, each a mapping of names to definitions. Lengths of time are
text ("5m"), types too ("Int64"), other definitions are named, and functions are named by their
dotted path. What equals its default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.definitions.entities import Entity
from headrace.definitions.forms import (
    COLUMNS,
    FLAG,
    INSTANT,
    LENGTH,
    LIST_OF_TEXT,
    NUMBER,
    TEXT,
    TYPE,
    Form,
    build,
    list_of,
    mapping_of,
    read_fields,
    reference_to,
    write_fields,
)
from headrace.definitions.functions import Resolve, function_at, function_form, transform_form
from headrace.definitions.place import Place, mapping_at, text_at
from headrace.definitions.project import Definitions
from headrace.definitions.references import REQUEST_TYPE, member_form
from headrace.definitions.services import FeatureService
from headrace.definitions.sources import ChangeSource, EventSource, SnapshotSource, Source
from headrace.definitions.transforms import OnDemand
from headrace.definitions.views import FeatureView
from headrace.definitions.words import AGGREGATION, CHECK, LOCATION, MASK

SECTIONS = ("entities", "sources", "views", "on_demand", "services")
SOURCES: Mapping[str, type[Source]] = {"event": EventSource, "change": ChangeSource, "snapshot": SnapshotSource}

ENTITY_FORMS: Mapping[str, Form] = {"keys": mapping_of(TYPE), "description": TEXT}
_SOURCE_FORMS: Mapping[str, Form] = {
    "schema": mapping_of(TYPE),
    "event_time": TEXT,
    "available_time": TEXT,
    "known_after": LENGTH,
    "timezone": TEXT,
    "sequence": TEXT,
    "inclusive": FLAG,
    "max_lateness": LENGTH,
    "max_future": LENGTH,
    "complete_from": INSTANT,
    "dedupe_on": COLUMNS,
    "dedupe_within": LENGTH,
    "required": COLUMNS,
    "contract": list_of(CHECK),
    "personal": mapping_of(MASK),
    "on_added_column": TEXT,
    "max_rejected_share": NUMBER,
    "batch": LOCATION,
    "stream": LOCATION,
    "description": TEXT,
    "owner": TEXT,
}
SOURCE_FORMS: Mapping[str, Mapping[str, Form]] = {
    kind: _SOURCE_FORMS if cls is EventSource else {"primary_key": COLUMNS, **_SOURCE_FORMS}
    for kind, cls in SOURCES.items()
}


def view_forms(known: Definitions, resolve: Resolve) -> dict[str, Form]:
    """How the fields of a view are written, given the definitions that it may refer to."""
    return {
        "entity": reference_to("entity", known.entities, or_none=True),
        "source": reference_to("source", known.sources),
        "transform": transform_form(resolve),
        "event_time": TEXT,
        "keys": mapping_of(TEXT),
        "where": TEXT,
        "features": mapping_of(AGGREGATION),
        "ttl": LENGTH,
        "resolution": LENGTH,
        "checks": list_of(CHECK),
        "freshness": LENGTH,
        "online": FLAG,
        "description": TEXT,
        "owner": TEXT,
        "tags": LIST_OF_TEXT,
    }


def on_demand_forms(known: Definitions, resolve: Resolve) -> dict[str, Form]:
    """How the fields of an on-demand feature are written."""
    return {
        "function": function_form(resolve),
        "inputs": list_of(member_form(known.views, None)),
        "request": mapping_of(REQUEST_TYPE),
        "outputs": mapping_of(TYPE),
        "version": TEXT,
        "description": TEXT,
    }


def service_forms(known: Definitions) -> dict[str, Form]:
    """How the fields of a service are written."""
    members = list_of(member_form(known.views, known.on_demand))
    return {"features": members, "description": TEXT, "owner": TEXT, "tags": LIST_OF_TEXT}


def to_plain(item: Any) -> dict[str, Any]:
    """One definition, without its name, as plain data.

    Examples
    --------
    >>> import headrace as hr
    >>> to_plain(hr.Entity("driver", keys={"driver_id": hr.Int64}))
    {'keys': {'driver_id': 'Int64'}}
    """
    known = Definitions()
    match item:
        case Entity():
            return write_fields(item, ENTITY_FORMS)
        case Source():
            kind = next(kind for kind, cls in SOURCES.items() if isinstance(item, cls))
            return {"kind": kind, **write_fields(item, SOURCE_FORMS[kind])}
        case FeatureView():
            return write_fields(item, view_forms(known, function_at))
        case OnDemand():
            return write_fields(item, on_demand_forms(known, function_at))
        case FeatureService():
            return write_fields(item, service_forms(known))
    raise TypeError(f"{item!r} is no definition")


def document_of(definitions: Definitions) -> dict[str, Any]:
    """All definitions as one plain document; `definitions_of` reads it back."""
    parts = zip(SECTIONS, _parts(definitions), strict=True)
    return {name: {key: to_plain(item) for key, item in part.items()} for name, part in parts if part}


def definitions_of(document: Any, *, resolve: Resolve, place: Place | None = None) -> Definitions:
    """Read a document.

    Parameters
    ----------
    document : mapping
        As `document_of` writes it.
    resolve : callable
        From a dotted path to the function there.
    place : Place, optional
        Where the document stands, for messages.

    Raises
    ------
    DefinitionError
        If something in it is wrong, with its place and the nearest right name.
    """
    here = place or Place()
    sections = mapping_at({} if document is None else document, here)
    for name in sections:
        if name not in SECTIONS:
            raise here.unknown("section", name, SECTIONS)
    known = Definitions({}, {}, {}, {}, {})
    for section, part in zip(SECTIONS, _parts(known), strict=True):
        for name, value in mapping_at(sections.get(section) or {}, here / section).items():
            at = here / section / name
            cls, fields, forms = _class_of(section, value, at, known, resolve)
            part[name] = build(at, cls, name, **read_fields(fields, at, cls, forms))
    with here.named():
        return Definitions.of([item for part in _parts(known) for item in part.values()])


def _class_of(
    section: str, value: Any, place: Place, known: Definitions, resolve: Resolve
) -> tuple[type[Any], Any, Mapping[str, Form]]:
    match section:
        case "entities":
            return Entity, value, ENTITY_FORMS
        case "sources":
            fields = dict(mapping_at(value, place))
            kind = text_at(fields.pop("kind", "event"), place / "kind")
            if kind not in SOURCES:
                raise (place / "kind").unknown("kind of source", kind, SOURCES)
            return SOURCES[kind], fields, SOURCE_FORMS[kind]
        case "views":
            return FeatureView, value, view_forms(known, resolve)
        case "on_demand":
            return OnDemand, value, on_demand_forms(known, resolve)
    return FeatureService, value, service_forms(known)


def _parts(definitions: Definitions) -> tuple[Any, ...]:
    return tuple(getattr(definitions, name) for name in SECTIONS)
