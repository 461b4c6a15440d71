"""Feast's feature views: the newest row's columns, or aggregates over windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from headrace.definitions.entities import KEY_TYPES
from headrace.platform.feast.aggregates import Aggregate, aggregates_of
from headrace.platform.feast.code import call, mapping, plain_name, text
from headrace.platform.feast.columns import Origin
from headrace.platform.feast.draft import Draft, View, described, given_list, typed
from headrace.platform.feast.recording import Recorded, kind_of
from headrace.platform.feast.sources import origin_of
from headrace.platform.feast.types import from_feast, shown
from headrace.types import DataType, String, duration, duration_text

KINDS: Final = ("FeatureView", "BatchFeatureView", "StreamFeatureView")
_TTL = (
    "A value older than its view's `ttl` is null with status OUTSIDE_MAX_AGE, online too. Feast 0.67 looks at it in "
    "training sets only, and serves what it has as PRESENT."
)
_TYPES = "A column has its file's type; Feast casts to the type in the view's schema, so that floats may be rounded."


@dataclass(slots=True)
class _Found:
    """What could be told of a view's columns."""

    keys: dict[str, DataType] = field(default_factory=dict)
    features: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    types: dict[str, DataType] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write_views(draft: Draft) -> None:
    """Write the views, with their entities."""
    for item in draft.repository.objects:
        if item.kind in KINDS:
            why = _unreadable(item)
            why = why or _write(draft, item)
            if why:
                draft.leave(item, why)


def _unreadable(item: Recorded) -> str:
    """Why a view can't come along at all; empty where it can."""
    source = item.given.get("source")
    if not isinstance(source, Recorded):
        return "It has no source of its own: it is derived from other views." if source else "It has no source."
    if source.kind in KINDS:
        return "It is derived from another view: write it on that view's source, with an hr.transform."
    if item.given.get("udf") or item.given.get("feature_transformation"):
        return "It has a function of its own, which runs on another engine: write it as an hr.transform."
    return ""


def _write(draft: Draft, item: Recorded) -> str:
    """Write a view; or say why that can't be."""
    source = item.given["source"]
    origin = origin_of(draft, source)
    if origin.time is None:
        return "Its source names no timestamp_field, and the file has not just one time."
    if not origin.is_time(origin.time):
        return f"Its timestamp_field {origin.time} holds no times in {origin.pattern}."
    before = dict(origin.columns)
    found = _Found()
    why = _keys(item, origin, found) or _features(draft, item, origin, found)
    if not why and not found.features:
        missing = ", ".join(f"{name}: {reason}" for name, reason in found.missing.items())
        why = f"None of its features could come along ({missing})." if missing else "It has no features."
    if why:
        origin.columns = before
        return why
    _written(draft, item, origin, found)
    return ""


def _written(draft: Draft, item: Recorded, origin: Origin, found: _Found) -> None:
    name, renamed = draft.name_of(item, "view")
    source = origin.item
    if id(source) not in draft.source_variables:
        draft.source_variables[id(source)] = draft.variables.new(draft.name_of(source, "source")[0], "source")
    mapped = {key: text(origin.column(key)) for key in found.keys if origin.column(key) != key}
    named = {"entity": _entity(draft, item, found.keys), "source": draft.source_variables[id(source)]}
    named |= {"keys": mapping(mapped)} if mapped else {}
    named |= {"ttl": text(ttl)} if (ttl := _ttl(draft, item)) else {}
    named |= {"online": "False"} if item.given.get("online") is False else {}
    named |= {"features": mapping(found.code), **described(item)}
    variable = draft.variables.new(name, "view")
    draft.write("views", f"{variable} = {call('hr.FeatureView', [text(name)], named)}")
    draft.views[id(item)] = View(item, name, variable, found.features, found.types, found.missing)
    lost = [f"{feature} stayed behind: {why}." for feature, why in found.missing.items()]
    unknown = [f"{key} has nothing to stand for here." for key in ("enable_tiling", "enable_validation", "offline")
               if item.given.get(key)]  # fmt: skip
    feast_name = str(item.given.get("name", name))
    draft.report.add(item.kind, feast_name, f"FeatureView {name}, {len(found.features)} features",
                     renamed, *found.notes, *lost, *unknown)  # fmt: skip


def _ttl(draft: Draft, item: Recorded) -> str:
    found = item.given.get("ttl")
    if not isinstance(found, timedelta) or not found:
        return ""
    draft.report.remark(_TTL)
    return duration_text(duration(found))


def _keys(item: Recorded, origin: Origin, found: _Found) -> str:
    declared = _declared(item)
    for entity in given_list(item, "entities"):
        for key in join_keys(entity):
            given = entity.given.get("value_type") if isinstance(entity, Recorded) else None
            otherwise = from_feast(given) if given is not None else None
            otherwise = otherwise or from_feast(declared[key].given.get("dtype")) if key in declared else otherwise
            dtype = origin.ask(origin.column(key), otherwise or String)
            if isinstance(dtype, str):
                return f"Key {key}: {dtype}."
            if not (dtype.is_integer or dtype.name in KEY_TYPES):
                return f"Key {key} is {dtype}, which can't be a key: equal ones may differ in their bits."
            if otherwise is None and not origin.found:
                found.notes.append(f"Key {key} is taken to be a String: nothing says its type.")
            found.keys[key] = dtype
    return ""


def _features(draft: Draft, item: Recorded, origin: Origin, found: _Found) -> str:
    aggregates = aggregates_of(item)
    for name, wanted in (aggregates or _plain(item, origin, found)).items():
        column = origin.column(wanted.column)
        dtype = origin.ask(column, wanted.dtype) if wanted.problem == "" else wanted.problem
        own = plain_name(name)
        if isinstance(dtype, DataType) and (own in found.code or own in found.keys):
            dtype = f"it would be called {own}, as another feature or key of the view"
        if isinstance(dtype, str):
            found.missing[name] = dtype
            continue
        if wanted.dtype not in (None, dtype):
            draft.report.remark(_TYPES)
        found.features[name], found.types[name] = own, wanted.given(dtype)
        found.code[own] = call(wanted.function, [text(column), *wanted.arguments], wanted.named)
        found.notes += [f"{name} is called {own} here."] if own != name else []
        found.notes += [f"{name} is text here, which Feast's clients read as JSON."] if wanted.is_json else []
        found.notes += [wanted.note] if wanted.note and wanted.note not in found.notes else []
    return ""


def _plain(item: Recorded, origin: Origin, found: _Found) -> Mapping[str, Aggregate]:
    """The schema's fields but keys and times; all of the file's where there is no schema, as Feast infers them."""
    times = {origin.time, origin.created}
    skipped = {*found.keys, *times}
    declared = {name: fld for name, fld in _declared(item).items() if name not in skipped}
    if declared:
        return {name: _last(name, fld) for name, fld in declared.items()}
    back = {before: after for after, before in origin.mapped.items()}
    names = [back.get(column, column) for column in origin.found]
    if names:
        found.notes.append("Its schema was inferred from the file.")
    return {name: Aggregate(name) for name in names if name not in skipped}


def _last(name: str, fld: Recorded) -> Aggregate:
    dtype = from_feast(fld.given.get("dtype"))
    problem = "" if dtype is not None else f"there is no type for Feast's {shown(fld.given.get('dtype'))}"
    description = fld.given.get("description")
    named = {"description": text(str(description))} if description else {}
    return Aggregate(name, dtype, named=named, problem=problem, is_json=kind_of(fld.given.get("dtype")) == "Json")


def _declared(item: Recorded) -> dict[str, Recorded]:
    fields = [*given_list(item, "schema"), *given_list(item, "features")]
    return {str(fld.given.get("name")): fld for fld in fields if isinstance(fld, Recorded)}


def join_keys(entity: Any) -> list[str]:
    """The columns of an entity; its name is one where it says nothing."""
    if not isinstance(entity, Recorded):
        return [str(entity)]
    return [str(key) for key in given_list(entity, "join_keys")] or [str(entity.given.get("name"))]


def _entity(draft: Draft, item: Recorded, keys: Mapping[str, DataType]) -> str:
    """The variable of the entity with these keys; several of Feast's become one with several keys."""
    if not keys:
        return "None"
    entities = given_list(item, "entities")
    types = tuple("Int64" if dtype.is_integer else dtype.name for dtype in keys.values())
    wanted = (*keys, *types)
    if wanted not in draft.entities:
        single = entities[0] if len(entities) == 1 and isinstance(entities[0], Recorded) else None
        name = "_".join(_entity_name(each) for each in entities)
        again = any(tuple(keys) == known[: len(keys)] for known in draft.entities)
        name = "_".join([name, *types]).lower() if again else name  # the same keys, of other types in another file
        draft.entities[wanted] = write_entity(draft, single, name, keys)
    return draft.entities[wanted]


def _entity_name(entity: Any) -> str:
    return plain_name(str(entity.given.get("name")) if isinstance(entity, Recorded) else str(entity))


def write_entity(draft: Draft, item: Recorded | None, name: str, keys: Mapping[str, DataType]) -> str:
    """Write an entity; gives its variable."""
    named = {"keys": mapping({key: typed(dtype) for key, dtype in keys.items()})}
    notes = []
    if item is not None:
        named |= {key: code for key, code in described(item).items() if key == "description"}
        notes = [f"An entity has no {key} here." for key in ("owner", "tags") if item.given.get(key)]
    variable = draft.variables.new(name, "entity")
    draft.write("entities", f"{variable} = {call('hr.Entity', [text(name)], named)}")
    kind, feast_name = ("Entity", str(item.given.get("name"))) if item is not None else ("Entities", ", ".join(keys))
    draft.report.add(kind, feast_name, f"Entity {name} ({', '.join(keys)})", *notes)
    return variable
