"""Whether a transform works row by row: the same rows in other orders and portions give the same result.

A function that looks at other rows (a mean, a rank, the row before) gives one value in a backfill of
a year and another in a batch of an hour or on a stream; so it is refused before anything is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.polars_types import from_polars
from headrace.engines.transforms import run_transform
from headrace.errors import DefinitionError, TransformError
from headrace.types import DataType

ROW_ID = "_hr_row_id"

Rows = Counter[str]


def check_row_wise(view: FeatureView, sample: pl.DataFrame, seed: int = 0) -> dict[str, DataType]:
    """Run a view's transform on a sample as a whole, shuffled, in portions, row by row and on no rows.

    Parameters
    ----------
    view : FeatureView
        A view with a transform.
    sample : polars.DataFrame
        Rows of its source.
    seed : int
        For the shuffle.

    Returns
    -------
    dict of str to DataType
        The columns that the transform returns, without headrace's own.

    Raises
    ------
    TransformError
        If the function raises, drops headrace's columns, returns no frame, or returns another result
        for the same rows in another order or portion: says which, and shows a row.
    """
    numbered = sample.with_row_index(ROW_ID).with_columns(pl.col(ROW_ID).cast(pl.Int64))
    whole = run_transform(view, numbered)
    for name, portions in _portions(numbered, seed):
        results = [run_transform(view, portion) for portion in portions]
        _check_types(view, whole, results, name)
        _check_rows(view, numbered, whole, results, name)
    return _columns(view, whole)


def _portions(rows: pl.DataFrame, seed: int) -> Iterator[tuple[str, Sequence[pl.DataFrame]]]:
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)
    yield "when it was run again", [rows]
    yield "in another order", [shuffled]
    yield "in reverse order", [rows.reverse()]
    for count in (2, 7):
        size = -(-len(rows) // count) or 1
        yield f"in {count} portions", [shuffled.slice(start, size) for start in range(0, len(rows), size)]
    yield "row by row", [rows.slice(start, 1) for start in range(len(rows))]
    yield "on no rows", [rows.clear(), rows]


def _check_types(view: FeatureView, whole: pl.DataFrame, results: Sequence[pl.DataFrame], name: str) -> None:
    for result in results:
        if result.schema != whole.schema:
            differing = dict(result.schema.items() ^ whole.schema.items())
            raise TransformError(
                f"{_place(view)}: its result has other columns or types {name} ({', '.join(differing)}). Cast them: "
                "types may not depend on values."
            )


def _check_rows(
    view: FeatureView, rows: pl.DataFrame, whole: pl.DataFrame, results: Sequence[pl.DataFrame], name: str
) -> None:
    expected = _by_row(whole)
    found = _by_row(pl.concat(results) if results else whole.clear())
    differing = [row for row in expected.keys() | found.keys() if expected.get(row) != found.get(row)]
    if differing:
        row = min(differing)
        given = next(rows.filter(pl.col(ROW_ID) == row).drop(ROW_ID).iter_rows(named=True), None)
        raise TransformError(
            f"{_place(view)}: it is not row-wise: {name}, the row {given} became {_listed(found.get(row))}, but "
            f"{_listed(expected.get(row))} in the whole sample of {len(rows)} rows. What it makes of a row may depend "
            "on nothing but that row: no mean, rank, shift, unique or group_by; use a feature's window instead."
        )


def _by_row(result: pl.DataFrame) -> dict[int, Rows]:
    found: dict[int, Rows] = {}
    columns = sorted(set(result.columns) - {ROW_ID})
    for row, *values in result.select(ROW_ID, *columns).iter_rows():
        text = ", ".join(f"{name}={_text(value)}" for name, value in zip(columns, values, strict=True))
        found.setdefault(row, Counter())[text] += 1
    return found


def _text(value: Any) -> str:
    # The last bits of a float depend on how many values a vector instruction takes at once.
    return f"{value:.12g}" if isinstance(value, float) else repr(value)


def _listed(rows: Rows | None) -> str:
    return "no row" if rows is None else " and ".join(f"({text})" for text in sorted(rows.elements()))


def _columns(view: FeatureView, result: pl.DataFrame) -> dict[str, DataType]:
    found = {}
    for name, dtype in result.schema.items():
        if name == ROW_ID:
            continue
        try:
            found[name] = from_polars(dtype)
        except DefinitionError as error:
            raise TransformError(f"{_place(view)}: column '{name}': {error}") from error
    return found


def _place(view: FeatureView) -> str:
    return f"{view.place}, transform {view.transform.path}" if view.transform else view.place
