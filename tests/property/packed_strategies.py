"""Layouts, steps and entities' keys of every type that an online record can hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import strategies as st

import headrace as hr
from headrace import types
from headrace.engines.polars_types import to_polars
from headrace.timeline.packed import Field, Layout
from headrace.timeline.packed_steps import Step
from headrace.types import DataType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = st.one_of(st.sampled_from(["", "a", "\x00", "a\x00b", "ä", "日本", "🚕"]), st.text(max_size=12))
_WHOLE = {f"{sign}Int{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
del _WHOLE["UInt64"]
_FLAT: dict[str, st.SearchStrategy[Any]] = {
    "Bool": st.booleans(),
    "Float32": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "Float64": st.floats(allow_nan=False, allow_infinity=False),
    "String": TEXTS,
    "Binary": st.binary(max_size=9),
    "Date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "Timestamp": st.integers(-(10**16), 10**17).map(lambda us: EPOCH + timedelta(microseconds=us)),
}


def values_of(dtype: DataType) -> st.SearchStrategy[Any]:
    """Values of a type, none of them null; items of lists and vectors may be."""
    if dtype.name in _WHOLE:
        sign, bits = _WHOLE[dtype.name]
        return st.integers(0, 2**bits - 1) if sign else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if dtype.name == "Decimal":
        scale, most = dtype.scale or 0, 10 ** (dtype.size or 1) - 1
        return st.integers(-most, most).map(lambda whole: Decimal(whole).scaleb(-scale))
    if dtype.inner is not None:
        size = dtype.size or 0
        items = st.one_of(st.none(), values_of(dtype.inner))
        return st.lists(items, min_size=size, max_size=size or 4)
    return _FLAT[dtype.name]


_NUMBERS = [types.Int8, hr.Int64, types.UInt16, hr.Float32, hr.Float64, hr.Decimal(5, 2)]
FLAT_TYPES = st.sampled_from([DataType(name) for name in (*_WHOLE, *_FLAT)] + [hr.Decimal(18, 4), hr.Decimal(4, 0)])
TYPES = st.one_of(
    FLAT_TYPES, FLAT_TYPES, st.builds(hr.Vector, st.sampled_from(_NUMBERS), st.integers(1, 9)),
    st.builds(hr.List, FLAT_TYPES), st.builds(lambda inner: hr.List(hr.List(inner)), FLAT_TYPES),
)  # fmt: skip


N_FEATURES = st.one_of(st.integers(1, 6), st.sampled_from([9, 17, 33, 70]))


@st.composite
def layouts(draw: Callable[..., Any], n_features: st.SearchStrategy[int] = N_FEATURES) -> Layout:
    """A layout of a few features, or of so many that the nulls' bitmap has another form."""
    n = draw(n_features)
    chosen = draw(st.lists(TYPES, min_size=min(n, 6), max_size=min(n, 6)))
    fields = [Field(f"feature_{i}", chosen[i % len(chosen)], draw(st.booleans())) for i in range(n)]
    return Layout(tuple(fields), draw(st.sampled_from([None, 0, 5, 10**6])))


@st.composite
def step_lists(draw: Callable[..., Any], layout: Layout, most: int = 50) -> list[Step]:
    """An entity's steps, oldest first; with many features only a few, as they take long to draw."""
    most = most if len(layout.fields) < 9 else 3
    times = sorted(draw(st.sets(st.one_of(st.integers(-9, 60), st.integers(-(10**16), 10**16)), max_size=most)))
    rows = st.tuples(*(st.one_of(st.none(), values_of(field.dtype)) for field in layout.fields))
    some = draw(st.lists(rows, min_size=1, max_size=4))
    ages = st.one_of(st.none(), st.integers(0, 12))
    found = []
    for i, time in enumerate(times):
        age = draw(ages)
        found.append(Step(time, None if age is None else time - age, some[i % len(some)]))
    return found


def frame_of(layout: Layout, key_dtype: DataType, entities: dict[Any, list[Step]]) -> pl.DataFrame:
    """Steps of entities as an engine gives them, in the order of `entities`."""
    rows = [(key, step.valid_from, step.event_time, *step.values) for key, mine in entities.items() for step in mine]
    instant = pl.Datetime("us", "UTC")
    schema = {"key": to_polars(key_dtype), "valid_from": instant, "event_time": instant}
    schema |= {field.name: to_polars(field.dtype) for field in layout.fields}
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    typed = zip(schema.items(), columns, strict=True)
    return pl.DataFrame([pl.Series(name, list(column), dtype=dtype) for (name, dtype), column in typed])
