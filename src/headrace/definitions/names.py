"""What may be called what."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from headrace.errors import DefinitionError

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
SYSTEM_PREFIX: Final = "_hr_"
"""Columns that begin so are headrace's own; an input that has one is refused."""


def checked_name(what: str, name: object) -> str:
    """Return `name` if it can name a `what`, else raise.

    Two underscores join a view and a feature in a training set's columns, so no name has them.

    Examples
    --------
    >>> checked_name("view", "driver_now")
    'driver_now'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"{what} name {name!r}: use lower-case letters, digits and _, a letter first.")
    if "__" in name:
        raise DefinitionError(f"{what} name {name!r}: '__' is kept for joining a view's and a feature's name.")
    return name


def checked_columns(where: str, names: Iterable[str]) -> None:
    """Refuse columns whose names headrace keeps for itself."""
    for name in names:
        if name.startswith(SYSTEM_PREFIX):
            raise DefinitionError(f"{where}: column '{name}' begins with '{SYSTEM_PREFIX}', which is headrace's own.")
