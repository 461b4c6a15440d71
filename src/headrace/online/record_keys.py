"""The store's key of an entity's record.

``b"r"``, the fingerprint of the view's definition, then each key of the entity: a byte for its type, and its value
so that no two entities have the same bytes, and bytes sort as values do. Whole numbers are 8 bytes, shifted to be
unsigned; text and bytes are closed by two zeros, and a zero inside is followed by a one. What would be longer than
400 bytes is a byte 255 and its BLAKE2b hash of 256 bits instead. A global view has one record, without keys.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from headrace.errors import DefinitionError
from headrace.types import DataType

NUMBER, BOOL, TEXT, BYTES, DAY = (bytes([tag]) for tag in range(1, 6))
HASHED: Final = b"\xff"
MOST_BYTES: Final = 400
CLOSED: Final = b"\x00\x00"
MIDDLE: Final = 2**63
_WHOLE: Final = struct.Struct(">Q")
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def record_prefix(fingerprint: str) -> bytes:
    """What the keys of all records of a definition begin with."""
    return b"r" + fingerprint.encode("ascii")


def record_key(fingerprint: str, values: Sequence[Any], types: Sequence[DataType]) -> bytes | None:
    """The key of one entity's record; None where one of the entity's keys is null, which finds nothing.

    Parameters
    ----------
    fingerprint : str
        That of the view's definition.
    values : sequence
        The entity's keys; empty for a global view.
    types : sequence of DataType
        Their types; String for a key that the source masks by a keyed hash.

    Raises
    ------
    DefinitionError
        If a value is not of its type.

    Examples
    --------
    >>> from headrace.types import Int64, String
    >>> record_key("f" * 16, (1, "23"), (Int64, String)) != record_key("f" * 16, (12, "3"), (Int64, String))
    True
    >>> record_key("f" * 16, (None,), (Int64,)) is None
    True
    """
    if None in values:
        return None
    try:
        parts = [_encoded(value, dtype) for value, dtype in zip(values, types, strict=True)]
    except (struct.error, TypeError, ValueError, AttributeError):
        listed = ", ".join(map(str, types))
        raise DefinitionError(f"{tuple(values)!r} is no entity with keys of the types ({listed}).") from None
    return record_prefix(fingerprint) + shortened(b"".join(parts))


def shortened(encoded: bytes) -> bytes:
    """Encoded keys, or where these are too long their hash."""
    if len(encoded) <= MOST_BYTES:
        return encoded
    return HASHED + hashlib.blake2b(encoded, digest_size=32).digest()


def tag_of(dtype: DataType) -> bytes:
    """The byte for a type.

    Raises
    ------
    DefinitionError
        If it is none that keys can have.
    """
    if dtype.is_integer:
        return NUMBER
    found = {"Bool": BOOL, "String": TEXT, "Binary": BYTES, "Date": DAY}.get(dtype.name)
    if found is None:
        raise DefinitionError(f"{dtype} can't be a key: take a whole number, String, Binary, Bool or Date.")
    return found


def _encoded(value: Any, dtype: DataType) -> bytes:
    tag = tag_of(dtype)
    if tag in (TEXT, BYTES):
        raw = value.encode() if tag == TEXT else bytes(memoryview(value))
        return tag + raw.replace(b"\x00", b"\x00\x01") + CLOSED
    if isinstance(value, bool) != (tag == BOOL):
        raise TypeError(value)
    whole = value.toordinal() - _EPOCH_DAY if tag == DAY else value
    return tag + _WHOLE.pack(whole + MIDDLE)
