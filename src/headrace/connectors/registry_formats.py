"""Avro and Protobuf values of messages as JSON, where a registry holds their schemas.

A value is a zero, the number of its schema in four bytes, and the content. Times become ISO text, decimals numbers,
bytes base64. What can't be decoded is passed on as it is: no JSON begins with a zero, so the contract takes it out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

from headrace.connectors import registry_avro, registry_protobuf
from headrace.connectors.registry_schemas import SchemaRegistry
from headrace.errors import StreamError

_HEADER: Final = struct.Struct(">bI")
_MAGIC: Final = 0
_FORMS: Final[dict[str, ModuleType]] = {"avro": registry_avro, "protobuf": registry_protobuf}


class RegistryDecoder:
    """Makes JSON of the values of messages; see `Decode`.

    Parameters
    ----------
    form : str
        ``avro`` or ``protobuf``.
    registry : SchemaRegistry
        What holds their schemas.

    Raises
    ------
    StreamError
        If the library that it needs is not installed.
    """

    def __init__(self, form: str, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._form = _FORMS[form]
        self._contents: dict[int, Callable[[bytes], bytes]] = {}
        try:
            import_module(self._form.LIBRARY)
        except ModuleNotFoundError as error:
            package = self._form.LIBRARY.rpartition(".")[2]
            raise StreamError(
                f"Messages of {form} need the library {package}, which is not installed: "
                f"pip install 'headrace[{form}]'."
            ) from error

    def __call__(self, values: Sequence[bytes | None]) -> list[bytes | None]:
        """Decode values, in order; a null stays null.

        Raises
        ------
        StreamError
            If the registry can't be reached, or a schema is of another kind.
        """
        unknown: set[int] = set()
        return [None if value is None else self._decoded(value, unknown) for value in values]

    def _decoded(self, value: bytes, unknown: set[int]) -> bytes:
        if len(value) < _HEADER.size:
            return value
        magic, number = _HEADER.unpack_from(value)
        content = self._content(number, unknown) if magic == _MAGIC else None
        if content is None:
            return value
        try:
            return content(value[_HEADER.size :])
        except self._form.CONTENT_ERRORS:  # the row goes to quarantine, where it can be looked at
            return value

    def _content(self, number: int, unknown: set[int]) -> Callable[[bytes], bytes] | None:
        """What decodes a schema; one that is not there is asked for once in a batch, as it may be registered yet."""
        if number in self._contents or number in unknown:
            return self._contents.get(number)
        found: Callable[[bytes], bytes] | None = self._form.content_of(self._registry, number)
        if found is None:
            unknown.add(number)
        else:
            self._contents[number] = found
        return found
