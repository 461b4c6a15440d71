"""Operations as OpenAPI tells them: what is sent, what comes back, and how errors are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from headrace.server.formats import ARROW, MSGPACK
from headrace.server.openapi_services import STATUS, TIME
from headrace.server.openapi_types import Schema
from headrace.server.replies import JSON

REF: Final = "#/components/schemas/{name}"
ERRORS: Final = {
    400: "The body can't be read: it is not of its content type.",
    401: "Nobody known asks. Send a key or a token, where the server wants one.",
    403: "Who asks may not.",
    404: "There is no such thing; the message has the nearest names.",
    406: "None of the accepted content types is answered.",
    409: "The same is being done already, or a view is held.",
    413: "The body is larger than the server takes.",
    415: "The body's content type is not taken.",
    422: "The request is well-formed and says nothing that can be answered; the message says what to change.",
    429: "Too many requests. Ask again after the seconds of Retry-After.",
    503: "Not now: the store can't be read, a view is not in it, or too much is asked at once. Ask again after "
    "Retry-After.",
}
_EACH: Final = (401, 403, 429, 503)
_RETRIED: Final = (429, 503)
ERROR_SCHEMA: Final[Schema] = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "description": "The kind of the error."},
                "message": {"type": "string", "description": "What is wrong, where, what was found and what to do."},
            },
            "required": ["type", "message"],
        }
    },
    "required": ["error"],
}
COLUMNS_SCHEMA: Final[Schema] = {
    "type": "object",
    "description": "As Feast's clients read it: a column a name of feature_names, a place an entity.",
    "properties": {
        "metadata": {
            "type": "object",
            "properties": {
                "feature_names": {"type": "array", "items": {"type": "string"}},
                "at": {**TIME, "description": "The time that is answered for."},
                "views": {"type": "object", "description": "Of each view its version and its frontier."},
                "failures": {"type": "object", "additionalProperties": {"type": "string"}},
            },
            "required": ["feature_names"],
        },
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "values": {"type": "array", "items": {}},
                    "statuses": {"type": "array", "items": STATUS},
                    "event_timestamps": {"type": "array", "items": TIME},
                },
                "required": ["values", "statuses", "event_timestamps"],
            },
        },
    },
    "required": ["metadata", "results"],
}


def ref(name: str) -> Schema:
    """A reference to one of the document's schemas."""
    return {"$ref": REF.format(name=name)}


def operation(
    summary: str, name: str, answered: dict[str, Any], refused: Sequence[int] = (), **more: Any
) -> dict[str, Any]:
    """One operation.

    Parameters
    ----------
    summary, name : str
        For people, and for generated clients.
    answered : dict
        The content of the answer, by its type.
    refused : sequence of int
        The statuses that an error may have, beside those that each operation has.
    **more
        Further members.
    """
    found = {"200": {"description": "The answer.", "content": answered}}
    for status in sorted({*refused, *_EACH}):
        found[str(status)] = _error(status)
    return {"summary": summary, "operationId": name, **more, "responses": found}


def body(schema: Schema, example: Any, *, formats: Sequence[str] = (JSON,)) -> dict[str, Any]:
    """What is sent.

    Parameters
    ----------
    schema : dict
        Of the body.
    example : value
        One that is right.
    formats : sequence of str
        The content types; the schema is that of JSON, and of MessagePack but for times and bytes.
    """
    content: dict[str, Any] = {JSON: {"schema": schema, "example": example}}
    for media in formats:
        if media == MSGPACK:
            content[media] = {"schema": {"description": "Members as of JSON; bytes are bytes, times timestamps."}}
        elif media == ARROW:
            content[media] = {
                "schema": {"description": "The columns of entities; the other members are in the URL's query."}
            }
    return {"required": True, "content": content}


def content(schema: Schema, *more: str, example: Any = None) -> dict[str, Any]:
    """An answer as JSON, and in further content types."""
    own = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {JSON: own, **{media: {"schema": {}} for media in more}}


def components(kinds: Sequence[type[msgspec.Struct]]) -> dict[str, Schema]:
    """The schemas of structs, and of those inside them, by name."""
    _, found = msgspec.json.schema_components(kinds, ref_template=REF)
    return {name: _told(schema) for name, schema in found.items()}


def _told(schema: Schema) -> Schema:
    """Of a docstring the first sentence: what it says of members is in the members' names for a reader of JSON."""
    text = schema.get("description", "")
    return {**schema, "description": text.partition("\n\n")[0].replace("`", "")} if text else schema


def _error(status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": ERRORS[status], "content": {JSON: {"schema": ref("Error")}}}
    if status in _RETRIED:
        found["headers"] = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return found
