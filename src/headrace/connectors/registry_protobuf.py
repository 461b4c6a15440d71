"""Protobuf whose schemas are in a registry, as JSON. Fields keep their names; a missing message is null."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import msgspec

from headrace.connectors.registry_schemas import SchemaRegistry, check_kind

LIBRARY: Final = "google.protobuf"
CONTENT_ERRORS: Final = (ValueError, TypeError, LookupError, OverflowError, MemoryError)
_KIND: Final = "PROTOBUF"
_DESCRIBED: Final = "serialized"  # a descriptor of the file rather than its text
_WELL_KNOWN: Final = ("any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_ENUM, _MESSAGE, _GROUP = 14, 11, 10


def content_of(registry: SchemaRegistry, number: int) -> Callable[[bytes], bytes] | None:
    """What makes JSON of contents of a schema; None if there is no such schema.

    Raises
    ------
    StreamError
        If the registry can't be reached, or the schema is not one of Protobuf.
    """
    found = registry.schema(number, _DESCRIBED)
    if found is None:
        return None
    check_kind(registry, number, found, _KIND)
    pool = import_module(f"{LIBRARY}.descriptor_pool").DescriptorPool()
    file = _added(registry, pool, f"schema-{number}.proto", found)
    message_class = import_module(f"{LIBRARY}.message_factory").GetMessageClass
    decode_error = import_module(f"{LIBRARY}.message").DecodeError

    def content(value: bytes) -> bytes:
        path, start = _path(value)
        try:
            message = message_class(_descriptor(pool, file, path)).FromString(value[start:])
        except decode_error as error:
            raise ValueError(str(error)) from error
        return msgspec.json.encode(_plain(message))

    return content


def _added(registry: SchemaRegistry, pool: Any, name: str, found: dict[str, Any]) -> Any:
    """The descriptor of a file, which is put into the pool behind those that it imports."""
    file = import_module(f"{LIBRARY}.descriptor_pb2").FileDescriptorProto.FromString(base64.b64decode(found["schema"]))
    file.name = name
    references = {reference["name"]: reference for reference in found.get("references", ())}
    for imported in file.dependency:
        if _is_in(pool, imported):
            continue
        if imported in references:
            subject, version = references[imported]["subject"], references[imported]["version"]
            _added(registry, pool, imported, registry.referred(subject, version, _DESCRIBED))
        else:
            pool.Add(_well_known(imported))
    pool.Add(file)
    return file


def _is_in(pool: Any, name: str) -> bool:
    try:
        pool.FindFileByName(name)
    except KeyError:
        return False
    return True


def _well_known(name: str) -> Any:
    for module in _WELL_KNOWN:
        import_module(f"{LIBRARY}.{module}_pb2")  # puts it into the default pool
    file = import_module(f"{LIBRARY}.descriptor_pb2").FileDescriptorProto()
    import_module(f"{LIBRARY}.descriptor_pool").Default().FindFileByName(name).CopyToProto(file)
    return file


def _path(value: bytes) -> tuple[list[int], int]:
    """Which message of the file it is, by its place and those of the messages around it; and where the content begins.

    A count and as many places, in zigzag varints; a count of 0 stands for the first message.
    """
    count, start = _varint(value, 0)
    path = []
    for _ in range(count):
        place, start = _varint(value, start)
        path.append(place)
    return path or [0], start


def _varint(value: bytes, start: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = value[start]
        number |= (byte & 0x7F) << shift
        start, shift = start + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), start


def _descriptor(pool: Any, file: Any, path: list[int]) -> Any:
    message = file.message_type[path[0]]
    name = f"{file.package}.{message.name}" if file.package else message.name
    for place in path[1:]:
        message = message.nested_type[place]
        name += f".{message.name}"
    return pool.FindMessageTypeByName(name)


def _plain(message: Any) -> Any:
    """A message as mappings and lists; 64-bit numbers stay numbers, unlike in Protobuf's own JSON."""
    if message.DESCRIPTOR.full_name == _TIMESTAMP:
        return f"{message.ToJsonString()}"
    fields = message.DESCRIPTOR.fields
    if message.DESCRIPTOR.file.name == "google/protobuf/wrappers.proto":
        return message.value
    return {field.name: _field(message, field) for field in fields}


def _field(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = field.message_type.fields_by_name["value"]
        return {key: _one(found, of) for key, found in value.items()}
    if field.is_repeated:
        return [_one(found, field) for found in value]
    return None if field.has_presence and not message.HasField(field.name) else _one(value, field)


def _one(value: Any, field: Any) -> Any:
    if field.type in {_MESSAGE, _GROUP}:
        return _plain(value)
    if field.type == _ENUM:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    return value
