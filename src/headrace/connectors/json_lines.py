"""Lines of JSON as raw columns: the plain ones all at once, the others one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from headrace.connectors.json_exact import as_frames, decode_exactly, parse
from headrace.connectors.json_shape import JOIN, Shape, paths_of, raw_type
from headrace.connectors.json_templates import template

_MOST_TEMPLATES: Final = 16
_FEW_LINES: Final = 64
"""So few lines are looked at one by one rather than given a template."""
_NOTHING: Final = "{}"


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


def decode_lines(lines: pl.Series, shape: Shape) -> RawRows:
    """Decode lines of JSON to raw columns.

    Parameters
    ----------
    lines : polars.Series of String
        One object each, or not.
    shape : Shape
        What they should hold.
    """
    plain, models = _plain(lines, shape)
    paths = [paths_of(model, shape) for model in models]
    added = list(dict.fromkeys(path for _, more in paths for path in more))
    frame = _fast(lines, plain, added, shape) if models else None
    if frame is None:
        plain, paths, added = plain & False, [], []
        frame = _empty(shape, len(lines))
    place = (~plain).arg_true()
    rows = decode_exactly(lines.gather(place).to_list(), shape)
    exact, failures = as_frames(rows, shape)
    seen = frozenset(rows.seen.union(*(declared for declared, _ in paths)))
    failures = failures.with_columns(index=place.gather(failures["index"]).cast(pl.UInt32))
    return RawRows(_filled(frame, place, exact), failures, seen, tuple(dict.fromkeys([*added, *rows.added])))


def _plain(lines: pl.Series, shape: Shape) -> tuple[pl.Series, list[dict[str, Any]]]:
    """Which lines match the template of one of their own, and the models of those templates."""
    plain = pl.Series([False]).new_from_index(0, len(lines))
    rest, place = lines, pl.int_range(len(lines), dtype=pl.UInt32, eager=True)
    models: list[dict[str, Any]] = []
    while len(rest) > _FEW_LINES and len(models) < _MOST_TEMPLATES:
        model, expression = _model(rest, shape)
        if model is None or expression is None:
            break
        models.append(model)
        alike = rest.str.contains(expression)
        plain = alike if len(rest) == len(lines) else plain.scatter(place.filter(alike), values=True)
        if alike.all():
            break
        rest, place = rest.filter(~alike), place.filter(~alike)
    return plain, models


def _model(lines: pl.Series, shape: Shape) -> tuple[dict[str, Any] | None, str | None]:
    """The first line that its own template matches."""
    for line in lines.head(_FEW_LINES).to_list():
        model = parse(line)
        expression = None if model is None else template(model, shape)
        if model is not None and expression is not None and pl.Series([line]).str.contains(expression)[0]:
            return model, expression
    return None, None


def _fast(lines: pl.Series, plain: pl.Series, added: list[str], shape: Shape) -> pl.DataFrame | None:
    """Decode the plain lines, the others to nulls; None in the unlikely case that the parser refuses one."""
    kept = lines if plain.all() else lines.zip_with(plain, pl.Series([_NOTHING]))
    schema = _schema(shape, added, "")
    try:
        nested = pl.read_ndjson(kept.str.join("\n").item().encode(), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return nested.select(_flat(schema, ""))


def _filled(frame: pl.DataFrame, place: pl.Series, exact: pl.DataFrame) -> pl.DataFrame:
    """A frame with the rows at `place` taken from another; either may lack columns that the other has."""
    nothing = pl.lit(None, dtype=pl.String)
    frame = frame.with_columns(nothing.alias(name) for name in exact.columns if name not in frame.columns)
    found = [values for values in exact.get_columns() if values.count()]
    return frame.with_columns(frame[values.name].clone().scatter(place, values) for values in found)


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


def _empty(shape: Shape, rows: int) -> pl.DataFrame:
    raw = {path: raw_type(dtype, lenient=shape.lenient) for path, dtype in shape.columns().items()}
    return pl.DataFrame(schema=raw).clear(rows)
