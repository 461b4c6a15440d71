"""The fast way of decoding JSON lines gives what the exact way gives, for whatever lines."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from headrace.connectors import json_lines
from headrace.connectors.json_exact import as_frames, decode_exactly
from headrace.connectors.json_lines import decode_lines
from headrace.connectors.json_shape import Shape
from headrace.types import Bool, Decimal, Float64, Int64, String, Timestamp

ROW = {"i": Int64, "f": Float64, "s": String, "b": Bool, "t": Timestamp, "d": Decimal(9, 2)}
FLAT = Shape(ROW, is_open=True)
NESTED = Shape(
    {"before": Shape(ROW, is_open=True, lenient=True), "after": Shape(ROW, is_open=True, lenient=True), "op": String},
    lenient=True,
)

texts = st.sampled_from(["", "a", "7", "1.5", "true", 'q"', "\\", "é", "\n", "2026-01-05T10:00:00Z", "{", "null"])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    texts,
    st.integers(-(10**20), 10**20),
    st.integers(0, 9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 1.0, -0.0, 12.5, 1e15, 1e-7]),
)
good = st.fixed_dictionaries(
    {
        "i": st.integers(-5, 5),
        "f": st.sampled_from([1, 2.5, -3e-5]),
        "s": st.sampled_from(["x", "7", "long text"]),
        "b": st.booleans(),
        "t": st.just("2026-01-05T10:00:00Z"),
        "d": st.sampled_from([1, 12.5, 0.25]),
    }
)
odd = st.dictionaries(
    st.sampled_from([*ROW, "extra", "more"]), st.one_of(scalars, st.lists(scalars, max_size=2)), max_size=6
)
broken = st.sampled_from(["{", "[]", "7", '{"i":NaN}', '{"i":1}x', '{"i":1e400}', "{}", '{"i": 1, "i": "x"}'])


def line(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


flat_lines = st.lists(st.one_of(good, good, good, odd, broken).map(line), min_size=1, max_size=30)
envelopes = st.fixed_dictionaries(
    {
        "before": st.one_of(st.none(), good, odd),
        "after": st.one_of(st.none(), good, odd),
        "op": st.sampled_from(["c", "d"]),
    }
)
nested_lines = st.lists(st.one_of(envelopes, envelopes, broken).map(line), min_size=1, max_size=30)


@pytest.fixture(autouse=True)
def _always_try_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "_FEW_LINES", 1)


def check(lines: list[str], shape: Shape) -> None:
    fast = decode_lines(pl.Series(lines), shape)
    frame, failures = as_frames(decode_exactly(lines, shape), shape)
    order = ["index", "column", "reason"]
    assert_frame_equal(fast.failures.sort(order), failures.sort(order))
    assert set(fast.frame.columns) == set(frame.columns)
    assert_frame_equal(canonical(fast.frame.select(frame.columns)), canonical(frame))


def canonical(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers kept as text are equal where their values are: 12.5 and 12.50."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String and not name.endswith(("s", "t", "op"))]
    return frame.with_columns(
        pl.coalesce(pl.col(name).cast(pl.Float64, strict=False).cast(pl.String), name) for name in texts
    )


@given(flat_lines)
def test_flat_lines(lines: list[str]) -> None:
    check(lines, FLAT)


@given(nested_lines)
def test_envelopes(lines: list[str]) -> None:
    check(lines, NESTED)
