"""Definitions as the registry keeps them."""

from __future__ import annotations

import json

from headrace.definitions.codec import to_plain
from headrace.definitions.fingerprint import fingerprint
from headrace.definitions.project import KINDS, Definitions
from headrace.registry.base import Entry


def entries_of(definitions: Definitions) -> tuple[Entry, ...]:
    """Each definition with its fingerprint and its JSON text, ordered by `KINDS` and name."""
    return tuple(
        Entry(kind, name, fingerprint(item), json.dumps(to_plain(item), ensure_ascii=False))
        for kind in KINDS
        for name, item in sorted(definitions.of_kind(kind).items())
    )
