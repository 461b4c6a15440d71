"""Avro whose schemas are in a registry, as JSON."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import msgspec

from headrace.connectors.registry_schemas import SchemaRegistry, check_kind

LIBRARY: Final = "fastavro"
CONTENT_ERRORS: Final = (ValueError, TypeError, LookupError, EOFError, OverflowError, MemoryError, struct.error)
_KIND: Final = "AVRO"


def content_of(registry: SchemaRegistry, number: int) -> Callable[[bytes], bytes] | None:
    """What makes JSON of contents of a schema; None if there is no such schema.

    Raises
    ------
    StreamError
        If the registry can't be reached, or the schema is not one of Avro.
    """
    fastavro: Any = import_module(LIBRARY)
    found = registry.schema(number)
    if found is None:
        return None
    check_kind(registry, number, found, _KIND)
    schema = _parsed(registry, found, {})
    encode = msgspec.json.Encoder(decimal_format="number").encode

    def content(value: bytes) -> bytes:
        stream = io.BytesIO(value)
        made = encode(fastavro.schemaless_reader(stream, schema, None))
        if stream.read(1):
            raise ValueError("there is more than the schema says")
        return made

    return content


def _parsed(registry: SchemaRegistry, found: dict[str, Any], named: dict[str, Any]) -> Any:
    """A schema with those that it refers to, which `named` gathers."""
    for reference in found.get("references", ()):
        if reference["name"] not in named:
            _parsed(registry, registry.referred(reference["subject"], reference["version"]), named)
    return import_module(LIBRARY).parse_schema(json.loads(found["schema"]), named_schemas=named)
