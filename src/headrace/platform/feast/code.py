"""Python as people write it: calls that fit on a line, or an argument a line."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_WIDTH: Final = 110


def call(function: str, arguments: Sequence[str] = (), named: Mapping[str, str] | None = None) -> str:
    """A call, its arguments given as code.

    Examples
    --------
    >>> call("hr.Entity", ["'driver'"], {"keys": "{}"})
    "hr.Entity('driver', keys={})"
    """
    parts = [*arguments, *(f"{name}={code}" for name, code in (named or {}).items())]
    return _enclosed(f"{function}(", parts, ")")


def mapping(items: Mapping[str, str]) -> str:
    """A dict with text for keys, its values given as code."""
    return _enclosed("{", [f"{text(key)}: {code}" for key, code in items.items()], "}")


def sequence(items: Iterable[str]) -> str:
    """A list, its items given as code."""
    return _enclosed("[", list(items), "]")


def text(value: str) -> str:
    """A text as code, in double quotes."""
    import json

    return json.dumps(value, ensure_ascii=False)


def _enclosed(begin: str, parts: Sequence[str], end: str) -> str:
    line = begin + ", ".join(parts) + end
    if len(line) <= _WIDTH - 12 and "\n" not in line:
        return line
    inner = "".join("    " + part.replace("\n", "\n    ") + ",\n" for part in parts)
    return f"{begin}\n{inner}{end}"


def plain_name(name: str) -> str:
    """The nearest name that headrace takes: lower case, digits and single underscores, a letter first.

    Examples
    --------
    >>> plain_name("Driver-Stats__v2"), plain_name("2nd")
    ('driver_stats_v2', 'f_2nd')
    """
    found = re.sub(r"_{2,}", "_", re.sub(r"[^a-z0-9_]", "_", name.lower())).lstrip("_")
    return found if found[:1].isalpha() else f"f_{found}"


class Variables:
    """The names of a module's variables, each given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, name: str, kind: str) -> str:
        """A variable for something of that name; where it is taken, its kind is added."""
        wanted = name if not keyword.iskeyword(name) else f"{name}_"
        for candidate in (wanted, f"{wanted}_{kind}", *(f"{wanted}_{kind}_{i}" for i in range(2, 1000))):
            if candidate not in self._taken:
                self._taken.add(candidate)
                return candidate
        raise AssertionError(name)
