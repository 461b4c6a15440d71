"""What every aggregate must hold to: merging first, or in another order, changes nothing.

To add an aggregate: its file in ``headrace/timeline/aggregates``, its line in ``catalogue.AGGREGATES``, and
its line here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.timeline.aggregates.base import Aggregate, Result
from headrace.timeline.aggregates.catalogue import AGGREGATES
from headrace.timeline.aggregates.counting import Count, ExactSum
from headrace.timeline.aggregates.distinct import ApproxCountDistinct, CountDistinct
from headrace.timeline.aggregates.extremes import Extreme
from headrace.timeline.aggregates.moments import FloatSum, Variance
from headrace.timeline.aggregates.quantiles import Quantile
from headrace.timeline.arrays import Payload
from headrace.timeline.axis import Spans

STEPS = 13
WHOLE, REAL = "i8", "f8"
CASES: dict[str, tuple[Aggregate, str]] = {
    "count": (Count(), WHOLE),
    "sum of whole numbers": (ExactSum(), WHOLE),
    "mean of whole numbers": (ExactSum(mean=True), WHOLE),
    "sum": (FloatSum(), REAL),
    "mean": (FloatSum(mean=True), REAL),
    "variance": (Variance(), REAL),
    "stddev": (Variance(ddof=0, root=True), REAL),
    "min": (Extreme(), REAL),
    "max of whole numbers": (Extreme(greatest=True), WHOLE),
    "count_distinct": (CountDistinct(), WHOLE),
    "approx_count_distinct": (ApproxCountDistinct(), WHOLE),
    "quantile": (Quantile(0.5), REAL),
}


@st.composite
def contributions(draw: Any, dtype: str) -> tuple[Spans, np.ndarray]:
    n = draw(st.integers(0, 20))
    places = st.integers(0, STEPS)
    bounds = [sorted((draw(places), draw(places))) for _ in range(n)]
    number = st.integers(-5, 5) if dtype == WHOLE else st.sampled_from([-2.5, 0.0, 0.1, 3.0, 1e9])
    values = np.array([draw(number) for _ in range(n)], dtype=dtype)
    lo, hi = (np.array([b[i] for b in bounds], dtype=np.int64) for i in (0, 1))
    return Spans(lo, hi, STEPS), values


def assert_same(one: Result, other: Result) -> None:
    assert one.valid.tolist() == other.valid.tolist()
    np.testing.assert_allclose(one.values[one.valid], other.values[other.valid], rtol=1e-9, atol=1e-6)


def merged(aggregate: Aggregate, spans: Spans, elements: Payload) -> tuple[Spans, Payload]:
    """Contributions over equal spans, with equal discriminators, as one each."""
    columns = [spans.lo, spans.hi, *(elements[name] for name in aggregate.discriminators)]
    unique, into = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    rest = {name: column for name, column in elements.items() if name not in aggregate.discriminators}
    apart = {name: unique[:, 2 + i] for i, name in enumerate(aggregate.discriminators)}
    payload = {**apart, **aggregate.compact(rest, into.reshape(-1), len(unique))}
    return Spans(unique[:, 0], unique[:, 1], STEPS), payload


def test_every_function_has_its_line() -> None:
    assert {name.split()[0] for name in CASES} == set(AGGREGATES)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_merging_equal_spans_first_changes_nothing(name: str, data: st.DataObject) -> None:
    aggregate, dtype = CASES[name]
    spans, values = data.draw(contributions(dtype))
    elements = aggregate.lift(values)
    assert_same(aggregate.evaluate(spans, elements), aggregate.evaluate(*merged(aggregate, spans, elements)))


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_a_step_depends_on_its_own_rows_alone(name: str, data: st.DataObject) -> None:
    aggregate, dtype = CASES[name]
    spans, values = data.draw(contributions(dtype))
    whole = aggregate.evaluate(spans, aggregate.lift(values))
    for step in range(STEPS):
        holds = (spans.lo <= step) & (step < spans.hi)
        n = int(holds.sum())
        only = Spans(np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.int64), 1)
        alone = aggregate.evaluate(only, aggregate.lift(values[holds]))
        assert_same(Result(whole.values[[step]], whole.valid[[step]]), alone)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_order_changes_nothing(name: str, data: st.DataObject) -> None:
    aggregate, dtype = CASES[name]
    spans, values = data.draw(contributions(dtype))
    order = np.array(data.draw(st.permutations(range(len(values)))), dtype=np.int64)
    again = aggregate.evaluate(spans.take(order), aggregate.lift(values[order]))
    assert_same(aggregate.evaluate(spans, aggregate.lift(values)), again)
