"""Fingerprints: equal where definitions give equal values, different where they may not.

Each is 16 hexadecimal digits of a BLAKE2b hash over what decides values, and over nothing else:
descriptions, owners, tags, checks, freshness and places may change without any recomputation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from headrace.definitions.codec import to_plain
from headrace.definitions.entities import Entity
from headrace.definitions.predicates import columns_of
from headrace.definitions.services import FeatureService
from headrace.definitions.sources import ChangeSource, SnapshotSource, Source, as_columns
from headrace.definitions.transforms import OnDemand, text_digest
from headrace.definitions.views import FeatureView
from headrace.definitions.windows import Hopping

_TIME_FIELDS = ("event_time", "available_time", "known_after", "timezone", "sequence", "inclusive", "dedupe_on")
_SILVER_FIELDS = (
    *_TIME_FIELDS, "primary_key", "max_future", "dedupe_within", "required", "contract", "personal", "on_added_column",
)  # fmt: skip


def entity_fingerprint(entity: Entity) -> str:
    """What decides how entities are told apart: the keys, their order and their types."""
    return _digest(entity.name, list(to_plain(entity)["keys"].items()))


def source_fingerprint(source: Source) -> str:
    """What decides silver: schema, times, identity, contract and masks.

    Where rows come from is not in it, nor what a run tolerates (`max_rejected_share`).
    """
    plain = to_plain(source)
    return _digest(source.name, plain["kind"], plain["schema"], _chosen(plain, _SILVER_FIELDS))


def view_fingerprint(view: FeatureView) -> str:
    """What decides the steps of a view.

    In it: what the source says about time, identity and the columns that the view uses (all of them
    where a transform reads the rows), the transform's text and version, keys, conditions, features
    and resolution. Not in it: `ttl`, which is applied when a value is read, and what serves people
    or the audit only.
    """
    plain = to_plain(view)
    transform = view.transform and text_digest(view.transform.function, view.transform.version)
    features = {name: {**_as_mapping(made), "description": ""} for name, made in plain["features"].items()}
    steps = _chosen(plain, ("event_time", "keys", "where", "resolution"))
    return _digest(view.name, view.entity and to_plain(view.entity)["keys"], _rows_of(view), transform, features, steps)


def on_demand_fingerprint(item: OnDemand) -> str:
    """What decides an on-demand feature: its text and version, inputs, request and outputs."""
    plain = to_plain(item)
    text = text_digest(item.function, item.version)
    return _digest(item.name, text, _chosen(plain, ("inputs", "request", "outputs")))


def service_fingerprint(service: FeatureService) -> str:
    """What decides the columns of a service: the chosen features, in order, not how each is made."""
    return _digest(service.name, to_plain(service)["features"])


def fingerprint(item: Any) -> str:
    """The fingerprint of any definition."""
    functions: Mapping[type[Any], Callable[[Any], str]] = {
        Entity: entity_fingerprint,
        Source: source_fingerprint,
        FeatureView: view_fingerprint,
        OnDemand: on_demand_fingerprint,
        FeatureService: service_fingerprint,
    }
    return next(function(item) for cls, function in functions.items() if isinstance(item, cls))


def _rows_of(view: FeatureView) -> dict[str, Any]:
    source = view.source
    plain = to_plain(source)
    used = set(source.schema) if view.transform else _used_columns(view)
    hopping = any(isinstance(feature.window, Hopping) for feature in view.features.values())
    return {
        "source": source.name,
        "kind": plain["kind"],
        "columns": {name: plain["schema"][name] for name in used if name in source.schema},
        "personal": {name: mask for name, mask in plain.get("personal", {}).items() if name in used},
        **_chosen(plain, (*_TIME_FIELDS, "primary_key", *(("max_lateness",) if hopping else ()))),
    }


def _used_columns(view: FeatureView) -> set[str]:
    source = view.source
    conditions = [view.where, *(feature.where for feature in view.features.values())]
    columns = [view.time_column, source.available_time, source.sequence, *source.identity, *view.key_columns.values()]
    columns += [feature.column for feature in view.features.values()]
    if isinstance(source, ChangeSource | SnapshotSource):
        columns += as_columns(source.primary_key)
    found = {column for column in columns if column is not None}
    return found.union(*(columns_of(str(text)) for text in conditions if text is not None))


def _as_mapping(made: Any) -> Mapping[str, Any]:
    return {made: None} if isinstance(made, str) else made


def _chosen(plain: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: plain[name] for name in names if name in plain}


def _digest(*parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
