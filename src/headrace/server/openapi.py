"""What the server answers, as OpenAPI 3.1: each service with its own fields, types and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from headrace.platform.request_columns import request_columns
from headrace.server.formats import ARROW, MSGPACK
from headrace.server.openapi_paths import COLUMNS_SCHEMA, ERROR_SCHEMA, body, components, content, operation, ref
from headrace.server.openapi_services import (
    AT,
    TIME,
    ServedFeature,
    column_schema,
    example_entities,
    is_served,
    names_schema,
    request_schema,
    served_features,
)  # fmt: skip
from headrace.server.openapi_types import Schema, schema_of
from headrace.server.openapi_writes import writes
from headrace.server.v1_answers import MOST_TRACED
from headrace.server.v1_catalogue import Services, ServiceTold, ViewVersions
from headrace.server.v1_forms import LineageAnswer, ViewServed
from headrace.server.v1_lineage import MOST_ENTITIES

if TYPE_CHECKING:
    from headrace.definitions.project import Definitions
    from headrace.definitions.services import FeatureService
    from headrace.platform.online_heads import Head

_ASKED: Final = (400, 404, 406, 413, 422)
_NAMED: Final = (404,)


def document(
    definitions: Definitions,
    name: str,
    most_rows: int,
    heads: Mapping[str, Head] | None = None,
) -> dict[str, Any]:
    """The server's description.

    Parameters
    ----------
    definitions : Definitions
        The project's, as they are now.
    name : str
        The project's.
    most_rows : int
        How many entities one request may ask for.
    heads : mapping of str to Head, optional
        What is served of views: tells the types of features behind transforms.
    """
    found = [service for service in definitions.services.values() if is_served(service)]
    features = {service.name: served_features(service, heads or {}) for service in found}
    paths = {
        "/get-online-features": {"post": _get_online_features(found)},
        **{path: item for each in found for path, item in _service_paths(each).items()},
        **_catalogue_paths(definitions),
        **_own_paths(),
        **writes(definitions),
    }
    schemas = components([Services, ServiceTold, ViewVersions, LineageAnswer, ViewServed])
    schemas |= {"Error": ERROR_SCHEMA, "Columns": COLUMNS_SCHEMA, "ByFeatures": _by_features(found, features)}
    for service in found:
        schemas |= _service_schemas(service, features[service.name], most_rows)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Features of {name}", "version": version("headrace"), "description": _about(found)},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _about(found: Sequence[FeatureService]) -> str:
    return (
        "Features of entities, as they are now or at another time, each with its status and age. "
        f"{len(found)} services are served: {', '.join(service.name for service in found)}."
    )


def _get_online_features(found: Sequence[FeatureService]) -> dict[str, Any]:
    names = {service.name: ref(f"Request.{service.name}") for service in found}
    services: Schema = {"oneOf": [*names.values()], "discriminator": {
        "propertyName": "feature_service", "mapping": {name: each["$ref"] for name, each in names.items()},
    }}  # fmt: skip
    schema: Schema = {"oneOf": [services, ref("ByFeatures")]} if found else ref("ByFeatures")
    example = {} if not found else {"feature_service": found[0].name, "entities": example_entities(found[0])}
    return operation(
        "Features of entities, by a service or one by one, as Feast's clients ask for them",
        "getOnlineFeatures",
        content(ref("Columns"), MSGPACK, ARROW),
        _ASKED,
        requestBody=body(schema, example, formats=(MSGPACK, ARROW)),
        tags=["features"],
    )


def _service_paths(service: FeatureService) -> dict[str, Any]:
    name = service.name
    text = service.description or f"The features of {name}"
    example = {"entities": example_entities(service)}
    values = operation(
        f"{text}: values with their ages and their views' versions",
        f"features_{name}",
        content(ref(f"Answer.{name}")),
        _ASKED,
        requestBody=body(ref(f"Features.{name}"), example),
        tags=[*service.tags] or ["features"],
    )
    lineage = operation(
        f"{text}: what each value rests on, and where its newest row came from",
        f"lineage_{name}",
        content(ref("LineageAnswer")),
        _ASKED,
        requestBody=body(ref(f"Lineage.{name}"), example),
        tags=["lineage"],
    )
    return {f"/v1/features/{name}": {"post": values}, f"/v1/lineage/{name}": {"post": lineage}}


def _service_schemas(service: FeatureService, features: list[ServedFeature], most_rows: int) -> dict[str, Schema]:
    name, entities = service.name, ref(f"Entities.{service.name}")
    needs = ["entities"] if request_columns(service) else []
    own: Schema = {"entities": entities, "at": AT, "features": names_schema(features)}
    owner = f" Owner: {service.owner}." if service.owner else ""
    flag = {"type": "boolean", "default": False, "description": f"Whether to tell from when each value holds; of "
            f"{MOST_TRACED:,} entities at most."}  # fmt: skip
    few = request_schema(service, min(most_rows, MOST_ENTITIES))
    full = {"type": "boolean", "default": False, "description": "Whether to call features view__feature."}
    asked: Schema = {"type": "object", "required": needs, "additionalProperties": False}
    return {
        f"Entities.{name}": request_schema(service, most_rows),
        f"Request.{name}": {
            "type": "object",
            "description": f"{service.description or f'The features of {name}'}.{owner}",
            "properties": {
                "feature_service": {"const": name},
                "features": {"type": "null"},
                "entities": {**request_schema(service, most_rows), "additionalProperties": True},
                "full_feature_names": full,
                "at": AT,
            },
            "required": ["feature_service", *needs],
        },
        f"Features.{name}": {**asked, "properties": {**own, "lineage": flag}},
        f"Lineage.{name}": {**asked, "properties": {**own, "entities": few}},
        f"Answer.{name}": {
            "type": "object",
            "properties": {
                "service": {"const": name},
                "at": TIME,
                "views": {"type": "object", "additionalProperties": ref("ViewServed")},
                "features": {"type": "array", "items": {"enum": [each.column for each in features]}},
                "results": {"type": "array", "items": {"oneOf": [column_schema(each) for each in features]}},
            },
            "required": ["service", "at", "views", "features", "results"],
        },
    }


def _by_features(found: Sequence[FeatureService], features: Mapping[str, list[ServedFeature]]) -> Schema:
    """Features named one by one: which columns they need depends on the features."""
    references = sorted({each.reference for own in features.values() for each in own})
    types = {(name, dtype): None for service in found for name, dtype in request_columns(service).items()}
    columns: dict[str, list[Schema]] = {}
    for name, dtype in types:
        columns.setdefault(name, []).append({"type": "array", "items": schema_of(dtype)})
    return {
        "type": "object",
        "description": "Features named one by one, as view:feature, with the columns that they need.",
        "properties": {
            "features": {
                "type": "array",
                "items": {"type": "string", "enum": references},
                "minItems": 1,
                "uniqueItems": True,
            },
            "feature_service": {"type": "null"},
            "entities": {
                "type": "object",
                "properties": {name: own[0] if len(own) == 1 else {"anyOf": own} for name, own in columns.items()},
                "additionalProperties": True,
            },
            "full_feature_names": {"type": "boolean", "default": False},
            "at": AT,
        },
        "required": ["features", "entities"],
    }


def _catalogue_paths(definitions: Definitions) -> dict[str, Any]:
    return {
        "/v1/services": {
            "get": operation("All services", "services", content(ref("Services")), tags=["catalogue"]),
        },
        "/v1/services/{service}": {
            "get": operation(
                "One service: its columns, features, views, and a request as it might be",
                "service",
                content(ref("ServiceTold")),
                _NAMED,
                parameters=[_parameter("service", sorted(definitions.services))],
                tags=["catalogue"],
            )
        },
        "/v1/views/{view}/versions": {
            "get": operation(
                "What was published of a view, and which of it is served",
                "viewVersions",
                content(ref("ViewVersions")),
                _NAMED,
                parameters=[_parameter("view", sorted(definitions.views))],
                tags=["catalogue"],
            )
        },
    }


def _parameter(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": [*values]}}


def _own_paths() -> dict[str, Any]:
    up = {"type": "object", "properties": {"status": {"const": "up"}}, "required": ["status"]}
    reasons = {"type": "array", "items": {"type": "string"}}
    ready: Schema = {
        "type": "object",
        "properties": {"ready": {"type": "boolean"}, "reasons": reasons},
        "required": ["ready", "reasons"],
    }
    asked = operation("Whether requests can be answered, and why not", "ready", content(ready), tags=["server"])
    asked["responses"]["503"] = {"description": "Not ready.", "content": content(ready)}
    return {
        "/health": {"get": operation("Whether the server is up", "health", content(up), tags=["server"])},
        "/ready": {"get": asked},
        "/openapi.json": {"get": operation("This document", "openapi", content({"type": "object"}), tags=["server"])},
    }
