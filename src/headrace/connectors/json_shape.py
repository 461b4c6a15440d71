"""What a line of JSON should hold, and where: the plan that both ways of decoding follow.

Values are first decoded *raw*: as JSON writes them (whole numbers, numbers, booleans, text). What a
type has beyond JSON (times, decimals, base64) is parsed from its text afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from headrace.types import DataType

JOIN: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a JSON object.

    Parameters
    ----------
    fields : mapping
        By name, a column's type or the shape of an object within.
    is_open : bool
        Whether further fields are columns that were added upstream; they are ignored otherwise.
    lenient : bool
        Whether times may be whole numbers and booleans 0 or 1, as connectors write them.
    """

    fields: Mapping[str, DataType | Shape]
    is_open: bool = False
    lenient: bool = False

    def columns(self, prefix: str = "") -> dict[str, DataType]:
        """The columns by their path, such as ``after`` + `JOIN` + ``ride_id``."""
        found: dict[str, DataType] = {}
        for name, spec in self.fields.items():
            path = f"{prefix}{name}"
            found |= spec.columns(f"{path}{JOIN}") if isinstance(spec, Shape) else {path: spec}
        return found


def raw_type(dtype: DataType, *, lenient: bool) -> pl.DataType:
    """The type in which JSON values of a declared type are decoded first."""
    if dtype.is_integer:
        return pl.Int64()
    if dtype.is_float:
        return pl.Float64()
    return pl.Boolean() if dtype.name == "Bool" and not lenient else pl.String()


def paths_of(value: Mapping[str, Any], shape: Shape, prefix: str = "") -> tuple[set[str], list[str]]:
    """Which columns an object has, and which open fields beyond them.

    Returns
    -------
    seen : set of str
        The paths of declared columns.
    added : list of str
        The paths of the others.
    """
    seen: set[str] = set()
    added: list[str] = []
    for name, inner in value.items():
        spec = shape.fields.get(name)
        if isinstance(spec, Shape):
            if isinstance(inner, dict):
                deeper, more = paths_of(inner, spec, f"{prefix}{name}{JOIN}")
                seen, added = seen | deeper, added + more
        elif spec is not None:
            seen.add(f"{prefix}{name}")
        elif shape.is_open:
            added.append(f"{prefix}{name}")
    return seen, added
