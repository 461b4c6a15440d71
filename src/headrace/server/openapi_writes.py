"""What is written over HTTP, as OpenAPI tells it: rows into streams, and views to the online store."""

from __future__ import annotations

from typing import Any, Final

from headrace.definitions.project import Definitions
from headrace.server.openapi_paths import body, content, operation
from headrace.server.openapi_services import TIME

_REFUSED: Final = (400, 404, 409, 413, 422, 503)
_COUNT: Final = {"type": "integer", "minimum": 0}
_PUSHED: Final = {
    "type": "object",
    "properties": {
        "source": {"type": "string"},
        "rows": _COUNT,
        "refused_rows": _COUNT,
        "positions": {"type": "object", "additionalProperties": {"type": "integer"}},
        "readable": {"type": ["boolean", "null"]},
    },
    "required": ["source", "rows"],
}
_VIEWS: Final = {
    "type": "object",
    "properties": {"views": {"type": "array", "items": {"type": "object", "properties": {"view": {"type": "string"}}}}},
    "required": ["views"],
}


def writes(definitions: Definitions) -> dict[str, Any]:
    """The paths that write, with the operations of each.

    Parameters
    ----------
    definitions : Definitions
        The project's: sources with a stream are named.
    """
    sources = [name for name, source in definitions.sources.items() if getattr(source, "stream", None) is not None]
    asked = {"type": "object", "properties": _times() | {"feature_views": _names(sorted(definitions.views))}}
    example = {"end_ts": "2026-01-05T08:00:00Z"}
    paths = {
        f"/{name}": {
            "post": operation(
                "Write published views to the online store.", name.replace("-", "_"), content(_VIEWS), _REFUSED,
                requestBody=body(asked, example),
            )
        }
        for name in ("materialize", "materialize-incremental")
    }  # fmt: skip
    return {"/push": {"post": _push(sources)}, **paths} if sources else paths


def _push(sources: list[str]) -> dict[str, Any]:
    column = {"type": "array", "items": {}}
    asked = {
        "type": "object",
        "properties": {
            "push_source_name": {"type": "string", "enum": sources},
            "df": {"type": "object", "additionalProperties": column, "minProperties": 1},
            "partial": {"type": "boolean"},
            "wait_seconds": {"type": ["number", "null"], "minimum": 0, "maximum": 60},
        },
        "required": ["push_source_name", "df"],
    }
    example = {"push_source_name": sources[0], "df": {}}
    return operation(
        "Write rows to a source's stream.", "push", content(_PUSHED), _REFUSED, requestBody=body(asked, example)
    )


def _times() -> dict[str, Any]:
    return {"start_ts": TIME, "end_ts": TIME}


def _names(views: list[str]) -> dict[str, Any]:
    return {"type": ["array", "null"], "items": {"type": "string", "enum": views}}
