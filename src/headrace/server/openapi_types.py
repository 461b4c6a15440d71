"""Types of columns as JSON Schema, as requests bring their values and as answers tell them; and examples of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from headrace.types import DataType

Schema = dict[str, Any]

_PLAIN: Final[dict[str, Schema]] = {
    "Bool": {"type": "boolean"},
    "Float32": {"type": "number", "format": "float"},
    "Float64": {"type": "number", "format": "double"},
    "String": {"type": "string"},
    "Binary": {"type": "string", "contentEncoding": "base64"},
    "Date": {"type": "string", "format": "date"},
    "Timestamp": {"type": "string", "format": "date-time"},
}
_EXAMPLES: Final[dict[str, tuple[Any, Any]]] = {
    "Bool": (True, False),
    "String": ("a", "b"),
    "Binary": ("YWI=", "Y2Q="),
    "Date": ("2026-01-05", "2026-01-06"),
    "Timestamp": ("2026-01-05T08:00:00Z", "2026-01-06T08:00:00Z"),
}


def schema_of(dtype: DataType | None) -> Schema:
    r"""The values of a type; null among them, as any value may be missing.

    Parameters
    ----------
    dtype : DataType, optional
        The type; any value where it is not known.

    Examples
    --------
    >>> from headrace.types import Bool, Decimal, Int8
    >>> schema_of(Int8)
    {'type': ['integer', 'null'], 'minimum': -128, 'maximum': 127}
    >>> schema_of(Decimal(3, 1))["pattern"]
    '^-?[0-9]{1,2}(\\.[0-9]{1,1})?$'
    >>> schema_of(None)
    {}
    """
    if dtype is None:
        return {}
    schema = _exact(dtype)
    return {**schema, "type": [schema["type"], "null"]}


def example_of(dtype: DataType, place: int = 0) -> Any:
    """A value of a type, as JSON has it; another one for each of two places.

    Examples
    --------
    >>> from headrace.types import Float32, Int64, Vector
    >>> example_of(Int64), example_of(Int64, 1), example_of(Vector(Float32, 2))
    (1, 2, [0.5, 0.5])
    """
    if dtype.inner is not None:
        return [example_of(dtype.inner, place)] * (dtype.size or 2)
    if dtype.is_integer:
        return place + 1
    if dtype.is_float:
        return place + 0.5
    if dtype.name == "Decimal":
        scale, digit = dtype.scale or 0, str(place + 1)
        if scale == dtype.size:
            return f"0.{digit.zfill(scale)}"
        return f"{digit}.{'0' * scale}" if scale else digit
    return _EXAMPLES[dtype.name][place % 2]


def _exact(dtype: DataType) -> Schema:
    if dtype.inner is not None:
        bounds = {} if dtype.size is None else {"minItems": dtype.size, "maxItems": dtype.size}
        return {"type": "array", "items": schema_of(dtype.inner), **bounds}
    if dtype.is_integer:
        return _whole(dtype.name)
    if dtype.name == "Decimal":
        return _decimal(dtype.size or 18, dtype.scale or 0)
    return dict(_PLAIN[dtype.name])


def _whole(name: str) -> Schema:
    bits, unsigned = int(name.removeprefix("U").removeprefix("Int")), name.startswith("U")
    low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    named = {"format": f"int{bits}"} if bits >= 32 and not unsigned else {}
    return {"type": "integer", **named, "minimum": low, "maximum": high}


def _decimal(precision: int, scale: int) -> Schema:
    """Text, so that every digit is kept."""
    whole = f"[0-9]{{1,{precision - scale}}}" if precision > scale else "0"
    return {
        "type": "string",
        "format": "decimal",
        "pattern": f"^-?{whole}" + (f"(\\.[0-9]{{1,{scale}}})?$" if scale else "$"),
    }
