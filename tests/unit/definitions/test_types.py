"""Types as text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.errors import HeadraceError
from headrace.types import DataType, duration, duration_text, parse_type, type_names

PLAIN = st.sampled_from([name for name in type_names if name not in ("Decimal", "Vector", "List")]).map(DataType)
DECIMALS = st.integers(1, 18).flatmap(lambda p: st.builds(hr.Decimal, st.just(p), st.integers(0, p)))
NUMBERS = st.sampled_from([hr.Int8, hr.UInt32, hr.Float32, hr.Float64]) | DECIMALS
VECTORS = st.builds(hr.Vector, NUMBERS, st.integers(1, 2000))
TYPES = st.recursive(PLAIN | DECIMALS | VECTORS, lambda inner: inner.map(hr.List), max_leaves=3)


@given(TYPES)
def test_a_type_is_read_back_from_its_text(dtype: DataType) -> None:
    assert parse_type(str(dtype)) == dtype


@given(st.integers(0, 2**60))
def test_a_length_is_read_back_from_its_text(microseconds: int) -> None:
    assert duration(duration_text(microseconds)) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        *("int64", "Int64(", "Int64()", "Decimal", "Decimal(4)", "Decimal(a, b)", "Decimal(1, 2)", "Decimal(20, 2)"),
        *("Vector(Float32)", "Vector(String, 3)", "Vector(Float32, 0)", "Vector(Float32, x)"),
        *("List", "List(Int65)", "List(Int8", ""),
    ],
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(HeadraceError, match=r"type|Decimal|Vector"):
        parse_type(text)
