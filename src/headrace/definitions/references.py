"""References in documents: to views, to features of them, and to on-demand features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.definitions.forms import LIST_OF_TEXT, TEXT, TYPE, Form, mapping_of
from headrace.definitions.place import Place, mapping_at, text_at
from headrace.definitions.transforms import OnDemand, RequestTime
from headrace.definitions.views import FeatureView, Selection

_KEYS = ("view", "features", "alias", "keys", "version")


def _write_member(item: Any) -> Any:
    if isinstance(item, FeatureView):
        return item.name
    if isinstance(item, OnDemand):
        return {"on_demand": item.name}
    given = {
        "features": list(item.names), "alias": item.prefix, "keys": dict(item.label_keys), "version": item.version,
    }  # fmt: skip
    return {"view": item.view.name, **{key: value for key, value in given.items() if value}}


def member_form(views: Mapping[str, FeatureView], on_demand: Mapping[str, OnDemand] | None) -> Form:
    """A view by its name, ``{view: …, features: […], alias: …, keys: {…}, version: …}`` or ``{on_demand: …}``.

    Parameters
    ----------
    views, on_demand : mapping
        What can be referred to; None where on-demand features can't stand.
    """

    def read(value: Any, place: Place) -> Any:
        if isinstance(value, str):
            return _named("view", value, views, place)
        given = mapping_at(value, place)
        known = _KEYS if on_demand is None else (*_KEYS, "on_demand")
        for key in given:
            if key not in known:
                raise place.unknown("key", key, known)
        if on_demand is not None and set(given) == {"on_demand"}:
            return _named("on_demand", given["on_demand"], on_demand, place / "on_demand")
        if "view" not in given or "on_demand" in given:
            raise place.error("name one 'view', or an 'on_demand' feature alone.")
        return _read_selection(_named("view", given["view"], views, place / "view"), given, place)

    return Form(_write_member, read)


def _named(what: str, name: Any, known: Mapping[str, Any], place: Place) -> Any:
    if text_at(name, place) not in known:
        raise place.unknown(what, name, known)
    return known[name]


def _read_selection(view: FeatureView, given: Mapping[str, Any], place: Place) -> Selection:
    names = LIST_OF_TEXT.read(given.get("features") or [], place / "features")
    keys = mapping_of(TEXT).read(given.get("keys") or {}, place / "keys")
    alias = None if given.get("alias") is None else text_at(given["alias"], place / "alias")
    if keys and alias is None:
        raise place.error("'keys' needs an 'alias' beside it.")
    with place.named():
        found = Selection(view)[names] if names else Selection(view)
        found = found if given.get("version") is None else found @ given["version"]
        return found if alias is None else found.alias(alias, keys)


def _read_request(value: Any, place: Place) -> Any:
    return RequestTime() if value == "RequestTime" else TYPE.read(value, place)


REQUEST_TYPE = Form(lambda value: "RequestTime" if isinstance(value, RequestTime) else str(value), _read_request)
"""The type of a request column; ``RequestTime`` for the time of the request."""
