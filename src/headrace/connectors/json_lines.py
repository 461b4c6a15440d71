"""Lines of JSON as raw columns: the plain ones all at once, the others one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from headrace.connectors.base import FAILURES
from headrace.connectors.json_exact import as_frames, decode_exactly, parse
from headrace.connectors.json_shape import JOIN, Shape, paths_of, raw_type
from headrace.connectors.json_templates import template

_MOST_TEMPLATES: Final = 16
_FEW_LINES: Final = 64
"""So few lines are looked at one by one rather than given a template."""


@dataclass(frozen=True, slots=True)
class RawRows:
    """Lines decoded to raw columns.

    Attributes
    ----------
    frame : polars.DataFrame
        One row a line, in order; a column a path.
    failures : polars.DataFrame
        As `FAILURES`, the column being a path.
    seen : frozenset of str
        The declared paths that occurred.
    added : tuple of str
        The paths that are not declared.
    """

    frame: pl.DataFrame
    failures: pl.DataFrame
    seen: frozenset[str]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    place: pl.Series
    frame: pl.DataFrame
    failures: pl.DataFrame
    seen: set[str]
    added: list[str]


def decode_lines(lines: pl.Series, shape: Shape) -> RawRows:
    """Decode lines of JSON to raw columns.

    Parameters
    ----------
    lines : polars.Series of String
        One object each, or not.
    shape : Shape
        What they should hold.
    """
    parts = list(_parts(lines, shape))
    order = pl.concat([part.place for part in parts]) if parts else pl.Series([], dtype=pl.UInt32)
    added = tuple(dict.fromkeys(path for part in parts for path in part.added))
    names = [*shape.columns(), *added]
    frames = [_complete(part.frame, names) for part in parts] or [_empty(shape)]
    frame = pl.concat(frames) if len(frames) > 1 else frames[0]
    if len(parts) > 1:
        frame = frame[order.arg_sort()]
    failures = [
        part.failures.with_columns(index=part.place.gather(part.failures["index"]).cast(pl.UInt32)) for part in parts
    ]
    seen = frozenset(path for part in parts for path in part.seen)
    return RawRows(frame, pl.concat([*failures, pl.DataFrame(schema=FAILURES)]), seen, added)


def _parts(lines: pl.Series, shape: Shape) -> Iterator[_Part]:
    place = pl.int_range(len(lines), dtype=pl.UInt32, eager=True)
    for _ in range(_MOST_TEMPLATES):
        if len(lines) <= _FEW_LINES:
            break
        model, expression = _model(lines, shape)
        if model is None or expression is None:
            break
        alike = lines.str.contains(expression)
        fast = _fast(lines.filter(alike), model, shape)
        if fast is None:
            break
        seen, added = paths_of(model, shape)
        yield _Part(place.filter(alike), fast, pl.DataFrame(schema=FAILURES), seen, added)
        lines, place = lines.filter(~alike), place.filter(~alike)
    if len(lines):
        rows = decode_exactly(lines.to_list(), shape)
        frame, failures = as_frames(rows, shape)
        yield _Part(place, frame, failures, rows.seen, list(rows.added))


def _model(lines: pl.Series, shape: Shape) -> tuple[dict[str, Any] | None, str | None]:
    """The first line that its own template matches."""
    for line in lines.head(_FEW_LINES).to_list():
        model = parse(line)
        expression = None if model is None else template(model, shape)
        if model is not None and expression is not None and pl.Series([line]).str.contains(expression)[0]:
            return model, expression
    return None, None


def _fast(lines: pl.Series, model: dict[str, Any], shape: Shape) -> pl.DataFrame | None:
    """Decode lines of one template; None in the unlikely case that the parser refuses one of them."""
    _, added = paths_of(model, shape)
    schema = _schema(shape, added, "")
    try:
        nested = pl.read_ndjson(lines.str.join("\n").item().encode(), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return nested.select(_flat(schema, ""))


def _schema(shape: Shape, added: list[str], prefix: str) -> dict[str, pl.DataType]:
    found: dict[str, pl.DataType] = {}
    for name, spec in shape.fields.items():
        if isinstance(spec, Shape):
            found[name] = pl.Struct(_schema(spec, added, f"{prefix}{name}{JOIN}"))
        else:
            found[name] = raw_type(spec, lenient=shape.lenient)
    own = [path.removeprefix(prefix) for path in added if path.startswith(prefix)]
    return found | {name: pl.String() for name in own if JOIN not in name}


def _flat(schema: dict[str, pl.DataType], prefix: str, outer: pl.Expr | None = None) -> list[pl.Expr]:
    found: list[pl.Expr] = []
    for name, dtype in schema.items():
        value = pl.col(name) if outer is None else outer.struct.field(name)
        if isinstance(dtype, pl.Struct):
            inner = {field.name: pl.Series([], dtype=field.dtype).dtype for field in dtype.fields}
            found += _flat(inner, f"{prefix}{name}{JOIN}", value)
        else:
            found.append(value.alias(f"{prefix}{name}"))
    return found


def _complete(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in names if name not in frame.columns]
    return frame.with_columns(missing).select(names)


def _empty(shape: Shape) -> pl.DataFrame:
    return pl.DataFrame(
        schema={path: raw_type(dtype, lenient=shape.lenient) for path, dtype in shape.columns().items()}
    )
