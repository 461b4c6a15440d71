"""Regular expressions that a line matches only if it is plainly of its shape.

Machines write their lines all alike: the same keys in the same order. One line is taken as a model
and becomes an expression in which each value must look like one of its declared type. A line that
matches can be decoded by a fast parser without fear that it nulls or coerces something; all others
are looked at one by one.
"""

from __future__ import annotations

import re
from typing import Any, Final

from headrace.connectors.json_shape import Shape
from headrace.types import DataType

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_.$-]+")
_INT: Final = r"-?(?:0|[1-9]\d{0,17})"
_FLOAT: Final = r"-?(?:0|[1-9]\d{0,16})(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?"
_TEXT: Final = r'"[^"\\\x00-\x1f]*"'
_LITERAL: Final = r"(?:true|false)"
_FLAT_LIST: Final = r"\[[^\[\]{}\"\\]*\]"
_ANY: Final = rf"(?:{_TEXT}|{_FLOAT}|{_LITERAL})"
_SAFE_DIGITS: Final = 15
"""A number of so many digits is the same after it was a double."""


def template(model: dict[str, Any], shape: Shape) -> str | None:
    """The expression for lines like `model`; None if it has keys or values that can't be told apart so.

    Examples
    --------
    >>> from headrace.types import Int64
    >>> made = template({"id": 7}, Shape({"id": Int64}))
    >>> bool(re.search(made, '{"id":8}')), bool(re.search(made, '{"id":"8"}'))
    (True, False)
    """
    made = _object(model, shape)
    return None if made is None else f"^{made}$"


def _object(model: dict[str, Any], shape: Shape) -> str | None:
    parts = []
    for name, value in model.items():
        made = _value(value, shape.fields.get(name), lenient=shape.lenient)
        if made is None or not _PLAIN_KEY.fullmatch(name):
            return None
        parts.append(rf'"{re.escape(name)}": ?{made}')
    return r"\{" + ", ?".join(parts) + r"\}"


def _value(value: Any, spec: DataType | Shape | None, *, lenient: bool) -> str | None:
    if isinstance(spec, Shape):
        if value is None:
            return "null"
        return _object(value, spec) if isinstance(value, dict) else None
    if spec is not None:
        return f"(?:null|{_typed(spec, lenient=lenient)})"
    if isinstance(value, dict):
        return _object(value, Shape({}))
    return None if isinstance(value, list) else f"(?:null|{_ANY})"


def _typed(dtype: DataType, *, lenient: bool) -> str:
    if dtype.is_integer:
        return _INT
    if dtype.is_float:
        return _FLOAT
    if dtype.name == "Bool":
        return f"{_LITERAL}|[01]" if lenient else _LITERAL
    if dtype.name == "Decimal":
        scale = dtype.scale or 0
        point = rf"(?:\.\d{{1,{scale}}})?" if scale else ""
        return rf"-?(?:0|[1-9]\d{{0,{max(0, _SAFE_DIGITS - scale - 1)}}}){point}"
    if dtype.is_nested:
        return _FLAT_LIST
    return rf"{_TEXT}|{_INT}" if lenient and dtype.is_temporal else _TEXT
